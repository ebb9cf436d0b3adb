//! Preparation: features, missing values, levels and targets.

#![expect(clippy::unwrap_used, reason = "test helpers; the inputs are fixed")]

use lepton_learn::{
    ColumnPrep, LearnError, Levels, Missing, NumericSummary, Preparation, RawColumn, Scaling,
    Target, TargetPrep, category_contribution,
};

fn numeric(name: &str, values: &[Option<f64>]) -> RawColumn {
    RawColumn::Numeric {
        name: name.into(),
        values: values.to_vec(),
    }
}

fn category(name: &str, values: &[Option<&str>]) -> RawColumn {
    RawColumn::Category {
        name: name.into(),
        values: values.iter().map(|v| v.map(str::to_owned)).collect(),
    }
}

fn slot_of(_: &str, value: &str) -> u32 {
    u32::try_from(value.len()).unwrap()
}

const SUMMARY: NumericSummary = NumericSummary {
    lo: 0.0,
    hi: 10.0,
    mean: 4.0,
    std: 2.0,
    missing: 0.0,
};

fn preparation(missing: Missing, scaling: Scaling) -> Preparation {
    let declared = Levels::Declared(vec!["red".into(), "blue".into()]);
    Preparation {
        columns: vec![
            ColumnPrep::numeric("age", scaling, missing, &SUMMARY),
            ColumnPrep::category("colour", declared, missing),
        ],
        target: TargetPrep::Classes {
            name: "y".into(),
            levels: Levels::Declared(vec!["0".into(), "1".into()]),
        },
    }
}

fn table() -> Vec<RawColumn> {
    vec![
        category("colour", &[Some("blue"), None, Some("green"), Some("red")]),
        numeric("y", &[Some(1.0), Some(0.0), Some(1.0), None]),
        numeric("age", &[Some(8.0), Some(2.0), None, Some(99.0)]),
    ]
}

#[test]
fn indicator_adds_a_feature_and_a_level() {
    let prep = preparation(Missing::Indicator, Scaling::Standard);
    assert_eq!(
        prep.feature_names(),
        [
            "age",
            "age=(missing)",
            "colour=red",
            "colour=blue",
            "colour=(other)",
            "colour=(missing)"
        ]
    );
    let x = prep.transform(&table(), &slot_of).unwrap();
    assert_eq!(x.rows, [0, 1, 2, 3]);
    assert_eq!(x.data.row(0), [2.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(x.data.row(1), [-1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(x.data.row(2), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    // 99 is first brought into the public bounds.
    assert_eq!(x.data.row(3), [3.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(prep.groups()[1], ("colour".to_owned(), vec![2, 3, 4, 5]));
}

#[test]
fn mean_drop_and_refuse_do_as_they_say() {
    let mean = preparation(Missing::Mean, Scaling::MinMax)
        .transform(&table(), &slot_of)
        .unwrap();
    assert_eq!(mean.data.row(2), [0.4, 0.0, 0.0, 1.0]);
    assert_eq!(mean.data.row(1), [0.2, 0.0, 0.0, 1.0]);
    let drop = preparation(Missing::Drop, Scaling::None)
        .transform(&table(), &slot_of)
        .unwrap();
    assert_eq!(drop.rows, [0, 3]);
    assert_eq!(drop.data.row(0), [8.0, 0.0, 1.0, 0.0]);
    let refuse = preparation(Missing::Refuse, Scaling::None)
        .transform(&table(), &slot_of)
        .unwrap_err();
    assert!(refuse.to_string().contains("'colour'") && refuse.to_string().contains("row 2"));
}

#[test]
fn rows_without_a_target_are_left_out_and_numbers_name_classes() {
    let examples = preparation(Missing::Mean, Scaling::Standard)
        .examples(&table(), &slot_of)
        .unwrap();
    assert_eq!(examples.rows, [0, 1, 2]);
    assert_eq!(
        examples.data.y(),
        &Target::Classes {
            labels: vec![1, 0, 1],
            classes: 2
        }
    );
}

#[test]
fn numeric_targets_are_standardised_and_come_back() {
    let target = TargetPrep::Value {
        name: "y".into(),
        bounds: Some((0.0, 8.0)),
        mean: 3.0,
        std: 2.0,
    };
    let prep = Preparation {
        target: target.clone(),
        ..preparation(Missing::Mean, Scaling::None)
    };
    let mut columns = table();
    columns[1] = numeric("y", &[Some(5.0), Some(99.0), None, Some(3.0)]);
    let examples = prep.examples(&columns, &slot_of).unwrap();
    assert_eq!(examples.data.y(), &Target::Values(vec![1.0, 2.5, 0.0]));
    assert_eq!(target.original(1.0), 5.0);
}

#[test]
fn slots_stand_for_categories() {
    let levels = Levels::Slots {
        slots: 8,
        kept: vec![3, 4],
    };
    let prep = Preparation {
        columns: vec![ColumnPrep::category("colour", levels, Missing::Mean)],
        ..preparation(Missing::Mean, Scaling::None)
    };
    assert_eq!(
        prep.feature_names(),
        ["colour=slot-3", "colour=slot-4", "colour=(other)"]
    );
    let x = prep.transform(&table(), &slot_of).unwrap();
    assert_eq!(
        x.data.data(),
        [0., 1., 0., 0., 0., 1., 0., 0., 1., 1., 0., 0.]
    );
    let counts = category_contribution(&table()[0], 8, &slot_of).unwrap();
    assert_eq!(counts, [0, 0, 0, 1, 1, 1, 0, 0, 1]);
    assert!(category_contribution(&table()[0], 4, &slot_of).is_err());
}

#[test]
fn wrong_tables_and_preparations_are_named() {
    let prep = preparation(Missing::Mean, Scaling::Standard);
    let absent = prep.transform(&table()[..2], &slot_of).unwrap_err();
    assert!(matches!(&absent, LearnError::Column { column, .. } if column == "age"));
    let mut columns = table();
    columns[2] = category("age", &[None; 4]);
    assert!(
        prep.transform(&columns, &slot_of)
            .unwrap_err()
            .to_string()
            .contains("numbers")
    );
    columns[2] = numeric("age", &[Some(1.0)]);
    assert!(prep.transform(&columns, &slot_of).is_err());
    let mut columns = table();
    columns[1] = numeric("y", &[Some(7.0); 4]);
    assert!(
        prep.examples(&columns, &slot_of)
            .unwrap_err()
            .to_string()
            .contains("declare")
    );
    let broken = NumericSummary {
        std: 0.0,
        ..SUMMARY
    };
    let zero = ColumnPrep::numeric("age", Scaling::Standard, Missing::Mean, &broken);
    assert!(
        Preparation {
            columns: vec![zero],
            ..prep.clone()
        }
        .validate()
        .is_err()
    );
    let twice = Levels::Slots {
        slots: 4,
        kept: vec![1, 1],
    };
    let twice = ColumnPrep::category("colour", twice, Missing::Mean);
    assert!(
        Preparation {
            columns: vec![twice],
            ..prep
        }
        .validate()
        .is_err()
    );
}

#[test]
fn preparations_survive_serialisation() {
    let prep = preparation(Missing::Indicator, Scaling::Standard);
    let text = serde_json::to_string(&prep).unwrap();
    assert_eq!(serde_json::from_str::<Preparation>(&text).unwrap(), prep);
}
