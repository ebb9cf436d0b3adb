//! The model card (Mitchell et al., *Model Cards for Model Reporting*, FAT* 2019), in Markdown.
//!
//! It lies beside the model and travels with it. So it says only what is released: no baselines, no per-party
//! figures, no importance, which a simulation computes from raw rows.

use lepton_protocol::report::Report;

use super::format::{NONE, count, delta, epsilon, percent, setting, significant, whole};
use super::verdict::{
    Standing, coordinator_words, ending, model_words, privacy_sentence, result_sentence, standing,
};
use super::{result, simulated};

/// Most input names and classes that are listed.
const NAMES_SHOWN: usize = 100;

/// Most classes whose confusion is shown.
const CLASSES_SHOWN: usize = 20;

/// The model card of a run: what the model is for, what it was made from, how good and how private it is, how to load it.
///
/// Names from the report are escaped, so that none of them becomes markup.
#[must_use]
pub fn model_card(report: &Report) -> String {
    let sections = [
        title(report),
        details(report),
        intended_use(report),
        data(report),
        metrics(report),
        privacy(report),
        limitations(report),
        loading(report),
    ];
    sections.join("\n")
}

fn title(report: &Report) -> String {
    let mut text = format!("# Model card: {}\n\n", plain(&report.name));
    if let Some(description) = &report.description {
        text += &format!("{}\n\n", plain(description));
    }
    text += &format!("{}\n\n", plain(&result_sentence(report)));
    match standing(report) {
        Standing::Protected => text += &format!("{}\n", plain(&privacy_sentence(report))),
        _ => text += &format!("> **Warning.** {}\n", plain(&privacy_sentence(report))),
    }
    for weakness in &report.insecure {
        text += &format!(">\n> **Insecure.** {}\n", plain(weakness));
    }
    text
}

fn details(report: &Report) -> String {
    let model = &report.model;
    let place = if simulated(report) {
        "a simulation on one machine"
    } else {
        "a federation"
    };
    let rows = [
        (
            "Model",
            format!(
                "{}, {} trained numbers",
                plain(&model.shape),
                whole(model.parameters)
            ),
        ),
        ("Output", output(report)),
        (
            "Trained in",
            format!(
                "{place}, {} parties, {}",
                report.protection.parties,
                ending(report)
            ),
        ),
        ("Date", plain(&report.started)),
        ("Run", plain(&report.run)),
        (
            "Written by",
            format!("Lepton {}", plain(&report.lepton_version)),
        ),
        (
            "SHA-256 of the effective job file",
            format!("`{}`", code(&report.job_sha256)),
        ),
    ];
    format!(
        "## Model details\n\n{}",
        table(
            ["", ""],
            &rows.map(|(name, value)| [name.to_owned(), value])
        )
    )
}

fn output(report: &Report) -> String {
    let label = plain(&report.data.label);
    if report.model.classes.is_empty() {
        return format!("a number: {label}, in its own units");
    }
    format!(
        "one of {} classes of {label}, with probabilities: {}",
        report.model.classes.len(),
        names(&report.model.classes)
    )
}

fn intended_use(report: &Report) -> String {
    let label = plain(&report.data.label);
    format!(
        "## Intended use\n\n\
         - **For:** predicting {label} for rows like those of the parties, with the columns listed below, by people who know how these columns came about.\n\
         - **Users:** the parties of the federation, and whoever they give the model to.\n\
         - **Not for:** decisions about a person by the model alone; rows from places or times unlike the parties'; anything its author did not check it for. \
         The job's author should complete this section.\n"
    )
}

fn data(report: &Report) -> String {
    let data = &report.data;
    let about = if data.noised { "about " } else { "" };
    let rows = |rows: f64| match data.counts_rows() {
        true => format!("{about}{} rows", count(rows)),
        false => "rows (their number is not released)".to_owned(),
    };
    let mut text = format!(
        "## Data\n\n\
         - **Training:** {}, which stayed at the parties. Rows at parties: {}.\n\
         - **Evaluation:** {} of the same parties, kept from training.\n\
         - **Inputs ({}):** {}.\n",
        rows(data.rows_train),
        plain(&data.split),
        rows(data.rows_test),
        report.model.features.len(),
        names(&report.model.features),
    );
    let total: f64 = data
        .class_counts
        .iter()
        .filter(|rows| rows.is_finite())
        .map(|rows| rows.max(0.0))
        .sum();
    let classes = report
        .model
        .classes
        .iter()
        .zip(&data.class_counts)
        .take(NAMES_SHOWN);
    let rows: Vec<[String; 3]> = classes
        .map(|(class, rows)| [plain(class), count(*rows), percent(rows.max(0.0) / total)])
        .collect();
    if !rows.is_empty() {
        text += &format!(
            "\n{}",
            table(
                [
                    "class",
                    if data.counts_rows() {
                        "training rows"
                    } else {
                        "summed shares"
                    },
                    "share"
                ],
                &rows
            )
        );
    }
    if data.noised {
        text += if data.counts_rows() {
            "\nRow and class counts carry noise and are part of the privacy loss below.\n"
        } else {
            "\nClass shares are summed over parties or persons, each counting as one; they carry noise and are part of the privacy loss below.\n"
        };
    }
    text
}

fn metrics(report: &Report) -> String {
    let metrics = &report.metrics;
    let rows: Vec<[String; 3]> = result::columns(std::iter::once(metrics))
        .into_iter()
        .map(|column| {
            [
                column.name.to_owned(),
                (column.text)(metrics),
                column.meaning.to_owned(),
            ]
        })
        .collect();
    let noised = if metrics.noised {
        " They carry noise and are part of the privacy loss below."
    } else {
        ""
    };
    let mut text = format!(
        "## Metrics\n\nOn the hold-out of all parties together; not broken down by group, so differences between groups of people are unknown.{noised}\n\n{}",
        table(["metric", "value", "meaning"], &rows)
    );
    if (1..=CLASSES_SHOWN).contains(&metrics.confusion.len()) {
        text += &format!("\n{}", confusion(report));
    }
    text + "\nComparisons with pooled rows or single parties, if any, are in the run's `report.html`, not here: they are not private.\n"
}

fn confusion(report: &Report) -> String {
    let name = |at: usize| {
        report
            .model
            .classes
            .get(at)
            .map_or_else(|| format!("class {at}"), |class| plain(class))
    };
    let lines = &report.metrics.confusion;
    let mut head = vec!["true ↓ predicted →".to_owned()];
    head.extend((0..lines.len()).map(name));
    let body = lines.iter().enumerate().map(|(at, line)| {
        let mut cells = vec![name(at)];
        cells.extend(line.iter().map(|rows| count(*rows)));
        cells
    });
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = vec!["---".to_owned(); head.len()];
    let body: String = body.map(|cells| line(&cells)).collect();
    line(&head) + &line(&rule) + &body
}

fn privacy(report: &Report) -> String {
    let privacy = &report.privacy;
    let mut text = format!("## Privacy\n\n{}\n", plain(&privacy_sentence(report)));
    if privacy.epsilon.is_some() {
        let seen = format!(
            "epsilon against {}",
            coordinator_words(report.protection.colluders)
        );
        let rows = [
            ("epsilon against the public", epsilon(privacy.epsilon)),
            (seen.as_str(), epsilon(privacy.epsilon_coordinator)),
            ("goal", epsilon(privacy.goal_epsilon)),
            ("delta", delta(privacy.delta)),
            (
                "unit of privacy",
                plain(privacy.unit.as_deref().unwrap_or("not stated")),
            ),
            (
                "adjacency",
                plain(privacy.adjacency.as_deref().unwrap_or("not stated")),
            ),
            (
                "accountant",
                plain(privacy.accountant.as_deref().unwrap_or("not stated")),
            ),
            (
                "noise",
                plain(privacy.noise.as_deref().unwrap_or("not stated")),
            ),
            ("noise multiplier", significant(privacy.noise_multiplier)),
            (
                "sampling rate",
                privacy
                    .sampling_rate
                    .map_or_else(|| NONE.to_owned(), setting),
            ),
            (
                "clipping norm",
                privacy.clip.map_or_else(|| NONE.to_owned(), setting),
            ),
        ];
        let rows = rows.map(|(name, value)| [name.to_owned(), value]);
        text += &format!("\n{}", table(["", ""], &rows));
        text += "\nEpsilon and delta are rounded up. Other jobs on the same rows cost privacy of their own, which adds to this.\n";
    }
    text += &list("Assumptions", &privacy.assumptions);
    text + &list("Not protected", &privacy.not_protected)
}

fn limitations(report: &Report) -> String {
    let mut all = vec![
        "Measured on rows of the same parties only; other places and later times may differ."
            .to_owned(),
        "Nothing here says whether the model is fair to groups of people: no group was looked at."
            .to_owned(),
        "It reflects the data it was trained on, with their errors and habits.".to_owned(),
        "A party could have sent wrong updates; this version does not detect poisoned data."
            .to_owned(),
    ];
    if report.privacy.epsilon.is_some() {
        all.push(
            "Noise for privacy costs accuracy, most for rare classes and small parties.".to_owned(),
        );
    }
    if report.rounds < report.rounds_planned {
        all.push(format!(
            "Training was shorter than planned: {}.",
            ending(report)
        ));
    }
    if simulated(report) {
        all.push("It comes from a simulation: one process held all rows, and whoever ran it could read them.".to_owned());
    }
    let lines: String = all.iter().map(|one| format!("- {one}\n")).collect();
    format!("## Limitations\n\n{lines}")
}

fn loading(report: &Report) -> String {
    if report.model.kind == "custom" {
        return "## How to use it\n\n\
            With the program that trained it at the parties: `model.safetensors` holds its arrays as `tensor0`, `tensor1`, ... in the order of `model.shapes`, and in \
            its header, under `lepton`, the classes and the preparation of the columns. `lepton predict` cannot apply it.\n"
            .to_owned();
    }
    format!(
        "## How to use it\n\n\
         With Lepton, which prepares the columns as in training (a CSV table with the original columns; the label is not needed):\n\n\
         ```sh\nlepton predict --model . rows.csv\n```\n\n\
         With any safetensors library. `model.safetensors` holds {} as 32-bit floating-point tensors, and in its header, under `lepton`, a JSON document \
         with the model's sizes, the classes and the preparation of the columns:\n\n\
         ```python\nimport json\nfrom safetensors import safe_open\n\n\
         with safe_open(\"model.safetensors\", framework=\"numpy\") as file:\n    \
         tensors = {{name: file.get_tensor(name) for name in file.keys()}}\n    \
         header = json.loads(file.metadata()[\"lepton\"])\n\
         print({{name: tensor.shape for name, tensor in tensors.items()}}, header[\"classes\"])\n```\n\n\
         Each layer is `layerN.weight` (outputs by inputs) and `layerN.bias`; inputs are in the order of the preparation.\n",
        plain(&model_words(&report.model.kind))
    )
}

fn list(title: &str, sentences: &[String]) -> String {
    if sentences.is_empty() {
        return String::new();
    }
    let lines: String = sentences
        .iter()
        .map(|sentence| format!("- {}\n", plain(sentence)))
        .collect();
    format!("\n### {title}\n\n{lines}")
}

fn names(all: &[String]) -> String {
    let shown: Vec<String> = all
        .iter()
        .take(NAMES_SHOWN)
        .map(|name| plain(name))
        .collect();
    let more = all.len() - shown.len();
    let list = shown.join(", ");
    if more > 0 {
        format!("{list} and {more} more")
    } else {
        list
    }
}

fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let rule = ["---"; N];
    let body: String = rows
        .iter()
        .map(|row| format!("| {} |\n", row.join(" | ")))
        .collect();
    format!("| {} |\n| {} |\n{body}", head.join(" | "), rule.join(" | "))
}

/// Text that stays text in Markdown, on one line.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.extend(['\\', letter])
            }
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

/// A hash within backticks.
fn code(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}
