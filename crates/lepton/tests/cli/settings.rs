//! Images, settings by rule and private Adam, from the job file to the predictions.

use crate::support::{Desk, SMALL};

/// Images of 4 x 4 pixels with two numbers each: the first says whether the bright bar is upright, the second says nothing.
fn images(count: usize) -> String {
    let mut text: String = (0..16)
        .map(|pixel| format!("p{pixel}_a,p{pixel}_b,"))
        .collect();
    text += "bar\n";
    for image in 0..count {
        let (upright, place) = (image % 2 == 0, image / 2 % 4);
        for pixel in 0..16 {
            let on = place == if upright { pixel % 4 } else { pixel / 4 };
            // Something that differs between images, or they would all fall on one side of the split.
            let shade = (image * 31 + pixel * 7) % 10;
            text += &format!(
                "{},{},",
                usize::from(on) * 90 + shade,
                (image * 13 + pixel) % 100
            );
        }
        text += if upright { "upright\n" } else { "lying\n" };
    }
    text
}

const IMAGES: &str = r#"[job]
name = "bars"
insecure_seed = 3

[data]
table = "bars.csv"
label = "bar"
classes = ["lying", "upright"]
kind = "image"
shape = [4, 4, 2]

[prepare]
scale = "none"

[model]
kind = "cnn"
channels = [6]
hidden = [8]

[training]
rounds = 12
local_epochs = 2
optimiser = "adam"
learning_rate = 0.01
"#;

fn bounds() -> String {
    let columns = (0..16).flat_map(|pixel| ["a", "b"].map(|side| format!("p{pixel}_{side}")));
    let lines: String = columns
        .map(|column| format!("{column} = [0, 100]\n"))
        .collect();
    format!("[prepare.bounds]\n{lines}")
}

fn bars() -> Desk {
    let desk = Desk::small();
    desk.write("bars.csv", images(400));
    let job = IMAGES.replace("scale = \"none\"", "scale = \"minmax\"");
    desk.write("bars.toml", format!("{job}{}", bounds()));
    desk
}

#[test]
fn a_convolutional_network_is_trained_saved_shown_and_asked() {
    let desk = bars();
    let done = desk
        .call(&["run", "bars.toml", "--run-dir", "out", "--json"])
        .fine();
    let accuracy = done.json()["metrics"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
    assert_eq!(done.json()["model"]["shape"], "cnn 32-6-8-1 (relu)");
    let shown = desk.call(&["model", "show", "out"]).fine().stdout;
    assert!(
        shown.contains("a convolutional network (1 convolutions over 2 x 4 x 4)"),
        "{shown}"
    );
    assert!(
        desk.read("out/model/model_card.md")
            .contains("cnn 32-6-8-1")
    );

    // Columns are found by name, not by place: the same predictions with the two numbers of each pixel exchanged.
    let straight = desk.call(&["predict", "--model", "out", "bars.csv"]).fine();
    let exchanged: String = desk.read("bars.csv").lines().map(exchange).collect();
    desk.write("exchanged.csv", exchanged);
    let other = desk
        .call(&["predict", "--model", "out", "exchanged.csv"])
        .fine();
    assert_eq!(straight.stdout, other.stdout);
    let told = straight.stderr.split("accuracy ").nth(1).unwrap();
    let told: f64 = told.split([' ', ',', '%']).next().unwrap().parse().unwrap();
    assert!(told > 0.9, "{}", straight.stderr);
}

/// Neighbouring columns swapped; the label stays last.
fn exchange(line: &str) -> String {
    let cells: Vec<&str> = line.split(',').collect();
    let (pixels, label) = cells.split_at(cells.len() - 1);
    let swapped = pixels.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]);
    let cells: Vec<&str> = swapped.chain(label.iter().copied()).collect();
    format!("{}\n", cells.join(","))
}

#[test]
fn images_of_another_size_are_refused() {
    let desk = bars();
    let set = ["run", "bars.toml", "--set", "data.shape=[4, 4, 3]"];
    desk.call(&set).refused(
        2,
        &["images of 4 x 4 pixels with 3 channels need 48 columns, and there are 32"],
    );
    let set = ["run", "bars.toml", "--set", "model.pool_size=8"];
    desk.call(&set).refused(2, &["bars.toml:"]);
}

/// FT-22, FT-23: the rule's choice stands in the effective job, the goal holds, and the report says what tables took of delta.
#[test]
fn a_private_cnn_runs_with_settings_by_rule() {
    let desk = bars();
    let done = desk.call(&[
        "run",
        "bars.toml",
        "--run-dir",
        "out",
        "--json",
        "--set",
        "privacy.epsilon=4",
        "--set",
        "privacy.population=400",
        "--set",
        "privacy.delta=1e-3",
        "--set",
        "training.rounds=5",
    ]);
    let privacy = done.fine().json()["privacy"].clone();
    assert_eq!(privacy["clip"], 1.0);
    assert_eq!(privacy["steps"], 5);
    assert!(privacy["epsilon_coordinator"].as_f64().unwrap() <= 4.0);
    let assumptions = privacy["assumptions"].to_string();
    assert!(
        assumptions.contains("beyond twelve standard deviations"),
        "{assumptions}"
    );
    let job = desk.read("out/job.toml");
    for line in [
        "clip = 1.0\n",
        "sampling_rate = 0.5\n",
        "learning_rate = 0.005\n",
        "rounds = 5\n",
    ] {
        assert!(job.contains(line), "{line} is not in {job}");
    }
}

/// FT-24: another step on the same noise; the same goal, the same charge, another model.
#[test]
fn private_adam_takes_other_steps_at_the_same_price() {
    let desk = Desk::small();
    let job = SMALL.replace("task = \"train\"", "insecure_seed = 3");
    let bounds = "[prepare.bounds]\na = [-20, 20]\nb = [-14, 14]\n";
    let job = job.replace(
        "label = \"y\"",
        "label = \"y\"\nclasses = [\"no\", \"yes\"]",
    );
    desk.write("job.toml", format!("{job}{bounds}"));
    let run = |optimiser: &str, out: &str| {
        let set = format!("privacy.optimiser={optimiser}");
        let done = desk
            .call(&[
                "run",
                "job.toml",
                "--run-dir",
                out,
                "--json",
                "--set",
                "privacy.epsilon=3",
                "--set",
                "privacy.delta=1e-3",
                "--set",
                &set,
            ])
            .fine();
        (
            done.json()["privacy"]["epsilon_coordinator"].clone(),
            desk.call(&["predict", "--model", out, "data.csv"])
                .fine()
                .stdout,
        )
    };
    let (adam, dp_adam) = (run("adam", "one"), run("dp_adam", "two"));
    assert_eq!(adam.0, dp_adam.0);
    assert_ne!(adam.1, dp_adam.1);
    assert!(
        desk.read("two/job.toml")
            .contains("optimiser = \"dp_adam\"")
    );
}
