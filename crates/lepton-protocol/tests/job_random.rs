//! Random jobs: the canonical text round-trips, and no edit of a job makes the reader panic.

use lepton_protocol::job::{FIELDS, Job, Kind, Override, Word as _};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const FULL: &str = include_str!("job_full.toml");
const IMAGE: &str = include_str!("job_image.toml");
const CUSTOM: &str = include_str!("job_custom.toml");

/// A value for a field: mostly valid, sometimes not.
fn value_for(kind: Kind, choices: &'static [&'static str]) -> BoxedStrategy<String> {
    let column = || select(vec!["age", "sex", "\"blood type\"", "outcome"]);
    match kind {
        Kind::Text => "\\PC{1,12}"
            .prop_map(|text| {
                format!("{text:?}")
                    .replace("\\'", "'")
                    .replace("\\u{", "u{")
            })
            .boxed(),
        Kind::Choice => select(choices)
            .prop_map(|word| format!("\"{word}\""))
            .boxed(),
        Kind::Integer(low, high) => (low..=high.min(low + 40))
            .prop_map(|n| n.to_string())
            .boxed(),
        Kind::PowerOfTwo(..) => (8_u32..=16)
            .prop_map(|exponent| (1_u32 << exponent).to_string())
            .boxed(),
        Kind::Number(_) if !choices.is_empty() => select(choices)
            .prop_map(|word| format!("\"{word}\""))
            .boxed(),
        Kind::Number(_) => prop_oneof![
            (1e-9_f64..1.0).prop_map(|x| format!("{x:?}")),
            any::<f64>().prop_map(|x| format!("{x:?}"))
        ]
        .boxed(),
        Kind::Texts(_) => proptest::collection::btree_set("[a-z]{1,3}", 1..4)
            .prop_map(|set| format!("{:?}", set.iter().collect::<Vec<_>>()))
            .boxed(),
        Kind::Choices => select(choices)
            .prop_map(|word| format!("[\"{word}\"]"))
            .boxed(),
        Kind::Widths(..) => proptest::collection::vec(1_u16..200, 1..4)
            .prop_map(|widths| format!("{widths:?}"))
            .boxed(),
        Kind::Shapes(..) => {
            proptest::collection::vec(proptest::collection::vec(1_u16..50, 0..3), 1..4)
                .prop_map(|shapes| format!("{shapes:?}"))
                .boxed()
        }
        Kind::ColumnIntegers(low, high) => (column(), low..=high)
            .prop_map(|(column, number)| format!("{{ {column} = {number} }}"))
            .boxed(),
        Kind::ColumnChoices => (column(), select(choices))
            .prop_map(|(column, word)| format!("{{ {column} = \"{word}\" }}"))
            .boxed(),
        Kind::ColumnBounds => (column(), -9.0_f64..9.0, 0.1_f64..9.0)
            .prop_map(|(column, low, width)| {
                format!("{{ {column} = [{low:?}, {:?}] }}", low + width)
            })
            .boxed(),
        Kind::ColumnTexts => column()
            .prop_map(|column| format!("{{ {column} = [\"a\", \"b\"] }}"))
            .boxed(),
        Kind::Table | Kind::Named => Just("{}".to_owned()).boxed(),
        Kind::Flag => any::<bool>().prop_map(|truth| truth.to_string()).boxed(),
    }
}

fn change() -> impl Strategy<Value = String> {
    select(FIELDS.iter().collect::<Vec<_>>()).prop_flat_map(|field| {
        value_for(field.kind, field.choices).prop_map(|value| format!("{}={value}", field.path))
    })
}

fn check_round_trip(job: &Job) -> Result<(), TestCaseError> {
    let text = job.to_toml();
    let again = Job::parse("again.toml", &text, &[])
        .map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?;
    prop_assert_eq!(&again, job);
    prop_assert_eq!(again.to_toml(), text);
    Ok(())
}

/// The part of the file one edit touches, and what it becomes.
fn edit(text: &str, at: &Index, length: usize, insert: &str) -> String {
    let start = at.index(text.chars().count() + 1);
    let (before, after) = (text.chars().take(start), text.chars().skip(start + length));
    before.chain(insert.chars()).chain(after).collect()
}

#[test]
fn the_full_job_is_valid_and_uses_nearly_every_key() {
    let job = Job::parse("job_full.toml", FULL, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    check_round_trip(&job).unwrap();
    let image = Job::parse("job_image.toml", IMAGE, &[]).unwrap();
    check_round_trip(&image).unwrap();
    let custom = Job::parse("job_custom.toml", CUSTOM, &[]).unwrap();
    check_round_trip(&custom).unwrap();
    let excluded = [
        "data.tables",
        "data.split.column",
        "training.local_steps",
        "data.person",
        // Of an adaptive norm, which local noise rules out.
        "privacy.clip_start",
        "privacy.clip_quantile",
    ];
    for field in FIELDS
        .iter()
        .filter(|field| !excluded.contains(&field.path))
    {
        assert!(
            job.line_of(field.path)
                .or(image.line_of(field.path))
                .or(custom.line_of(field.path))
                .is_some(),
            "neither job_full.toml nor job_image.toml nor job_custom.toml writes {}",
            field.path
        );
    }
    assert_eq!(job.model().l2.get(), 0.001);
    assert_eq!(job.training().class_weights.word(), "balanced");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_jobs_round_trip(changes in proptest::collection::vec(change(), 0..5), base in 0_usize..3) {
        let base = [FULL, FULL.split("[privacy]").next().unwrap(), IMAGE][base];
        let overrides: Vec<Override> = changes.iter().filter_map(|change| Override::parse(change).ok()).collect();
        match Job::parse("job.toml", base, &overrides) {
            Ok(job) => check_round_trip(&job)?,
            Err(errors) => {
                prop_assert!(!errors.to_string().contains("report this file as a bug"), "{}", errors);
                prop_assert!(!errors.problems().is_empty());
            }
        }
    }

    #[test]
    fn edited_texts_never_panic(
        edits in proptest::collection::vec((any::<Index>(), 0_usize..12, "[\\PC\n]{0,6}|\\[|\\]|=|\"|\\{|\\}|\n|#|\\.|0|-|nan|inf"), 1..6),
    ) {
        let text = edits.iter().fold(FULL.to_owned(), |text, (at, length, insert)| edit(&text, at, *length, insert));
        match Job::parse("job.toml", &text, &[]) {
            Ok(job) => check_round_trip(&job)?,
            Err(errors) => prop_assert!(!errors.to_string().contains("report this file as a bug"), "{}", errors),
        }
    }

    #[test]
    fn lines_of_the_file_may_go_missing(keep in proptest::collection::vec(proptest::bool::weighted(0.9), 120)) {
        let lines = FULL.lines().zip(keep.iter().cycle()).filter(|(_, keep)| **keep).map(|(line, _)| line);
        let text = lines.collect::<Vec<_>>().join("\n");
        match Job::parse("job.toml", &text, &[]) {
            Ok(job) => check_round_trip(&job)?,
            Err(errors) => prop_assert!(!errors.to_string().contains("report this file as a bug"), "{}", errors),
        }
    }

    #[test]
    fn overrides_never_panic(text in "\\PC{0,30}|[a-z.]{0,12}=\\PC{0,12}") {
        if let Ok(change) = Override::parse(&text) {
            let _ = Job::parse("job.toml", FULL, &[change]);
        }
    }
}
