//! A categorical column that looks up a table (rule PR-09) against the same column spread out and multiplied with that table:
//! equal to the last integer in outputs and gradients, and the same norm when clipped (DP-05, DP-12, DP-13).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "test helpers; the inputs are fixed"
)]

use chacha20::ChaCha20Rng;
use lepton_learn::{
    Activation, CategoryEncoding, ClipNorm, ColumnPrep, EmbeddingTable, Examples,
    GradientWorkspace, Levels, Missing, Model, ModelKind, ModelSpec, NumericSummary, Outputs,
    PERSON_ETA, Precision, Preparation, RawColumn, Scaling, TargetPrep, clipped_person_sum,
    float_error_eta, param_len, tensors,
};
use proptest::prelude::*;
use rand_core::{Rng, SeedableRng};

const COLOURS: [&str; 3] = ["red", "green", "blue"];
/// Levels of `colour`: three, "other" and "missing".
const ROWS: usize = 5;
const WIDTH: usize = 2;
const HIDDEN: usize = 3;

/// `age`, `colour`, `age` again as `size`: the category stands between numbers.
fn preparation(encoding: CategoryEncoding, levels: Levels) -> Preparation {
    let summary = NumericSummary {
        lo: -8.0,
        hi: 8.0,
        mean: 0.0,
        std: 1.0,
        missing: 0.0,
    };
    let number = |name| ColumnPrep::numeric(name, Scaling::None, Missing::Mean, &summary);
    Preparation {
        columns: vec![
            number("age"),
            ColumnPrep::category("colour", levels, Missing::Indicator).encoded(encoding),
            number("size"),
        ],
        target: TargetPrep::Value {
            name: "y".into(),
            bounds: None,
            mean: 0.0,
            std: 1.0,
        },
    }
}

fn declared(encoding: CategoryEncoding) -> Preparation {
    preparation(
        encoding,
        Levels::Declared(COLOURS.map(str::to_owned).to_vec()),
    )
}

fn numbers(name: &str, values: &[i8]) -> RawColumn {
    RawColumn::Numeric {
        name: name.into(),
        values: values.iter().map(|v| Some(f64::from(*v))).collect(),
    }
}

/// One row for each code: a known colour, one that nobody declared, or none.
fn table(codes: &[usize], rng: &mut ChaCha20Rng) -> Vec<RawColumn> {
    let colour = |code: &usize| match COLOURS.get(*code) {
        Some(colour) => Some((*colour).to_owned()),
        None if *code == COLOURS.len() => Some("mauve".to_owned()),
        None => None,
    };
    let mut column = |name| {
        let values: Vec<i8> = codes.iter().map(|_| small(rng)).collect();
        numbers(name, &values)
    };
    vec![
        column("age"),
        column("size"),
        column("y"),
        RawColumn::Category {
            name: "colour".into(),
            values: codes.iter().map(colour).collect(),
        },
    ]
}

/// A whole number from -3 to 3.
fn small(rng: &mut ChaCha20Rng) -> i8 {
    i8::try_from(rng.next_u32() % 7).unwrap() - 3
}

fn spec(kind: ModelKind, inputs: usize) -> ModelSpec {
    ModelSpec {
        kind,
        inputs,
        outputs: Outputs::Regression,
        l2: 0.0,
    }
}

fn embedding(preparation: &Preparation) -> ModelSpec {
    let tables = preparation.embedded();
    let tables = tables.iter().map(|(_, feature, levels)| EmbeddingTable {
        features: vec![*feature],
        levels: *levels,
        width: WIDTH,
    });
    let kind = ModelKind::Embedding {
        tables: tables.collect(),
        hidden: vec![HIDDEN],
        activation: Activation::Relu,
    };
    spec(kind, preparation.width())
}

fn spread_spec() -> ModelSpec {
    let kind = ModelKind::Mlp {
        hidden: vec![HIDDEN],
        activation: Activation::Relu,
    };
    spec(kind, 2 + ROWS)
}

/// A model over the table and the one over its one-hot product: in the first dense layer the weights of a level are the layer's
/// weights times the level's vector. Both layouts are written down here, not read from the crate.
fn pair(rng: &mut ChaCha20Rng) -> (Model, Model) {
    let preparation = declared(CategoryEncoding::Index);
    let spec = embedding(&preparation);
    let params: Vec<f64> = (0..param_len(&spec).unwrap())
        .map(|_| f64::from(small(rng)))
        .collect();
    let model = Model::new(spec, params).unwrap();
    let first = spread_weights(model.params());
    let rest = &model.params()[ROWS * WIDTH + HIDDEN * (WIDTH + 2)..];
    let params = [&first[..], rest].concat();
    (model, Model::new(spread_spec(), params).unwrap())
}

/// Weight of hidden unit `h` for input `i` of `WIDTH` embedded and two numeric ones.
fn dense(params: &[f64], h: usize, i: usize) -> f64 {
    params[ROWS * WIDTH + h * (WIDTH + 2) + i]
}

/// Inputs of the spread-out model: age, five levels, size.
fn spread_weights(params: &[f64]) -> Vec<f64> {
    let mut weights = Vec::new();
    for h in 0..HIDDEN {
        weights.push(dense(params, h, WIDTH));
        for level in 0..ROWS {
            let product = (0..WIDTH).map(|k| dense(params, h, k) * params[level * WIDTH + k]);
            weights.push(product.sum());
        }
        weights.push(dense(params, h, WIDTH + 1));
    }
    weights
}

/// The chain rule from the spread-out model's gradient to that of the table and of the layer behind it.
fn pulled_back(params: &[f64], spread: &[f64]) -> Vec<f64> {
    let inputs = ROWS + 2;
    let of = |h: usize, level: usize| spread[h * inputs + 1 + level];
    let mut gradient = Vec::new();
    for level in 0..ROWS {
        for k in 0..WIDTH {
            let terms = (0..HIDDEN).map(|h| dense(params, h, k) * of(h, level));
            gradient.push(terms.sum());
        }
    }
    for h in 0..HIDDEN {
        for k in 0..WIDTH {
            let terms = (0..ROWS).map(|level| params[level * WIDTH + k] * of(h, level));
            gradient.push(terms.sum());
        }
        gradient.push(spread[h * inputs]);
        gradient.push(spread[h * inputs + inputs - 1]);
    }
    gradient.extend(&spread[HIDDEN * inputs..]);
    gradient
}

fn examples(preparation: &Preparation, columns: &[RawColumn]) -> Examples {
    preparation.examples(columns, &|_, _| 0).unwrap().data
}

fn sum_of(model: &Model, examples: &Examples, clip: f64, precision: Precision) -> Vec<f64> {
    let rows: Vec<usize> = (0..examples.len()).collect();
    let mut workspace = GradientWorkspace::new(model.spec(), precision).unwrap();
    let clip = ClipNorm::new(clip).unwrap();
    let sum = workspace.clipped_gradient_sum(model.params(), (examples, &rows), clip, None);
    sum.unwrap().sum.clone()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|c| c * c).sum::<f64>().sqrt()
}

/// So wide that nothing is clipped.
const WIDE: f64 = 1e12;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// PR-09: all numbers are small integers, so both models must agree in every bit, in both precisions.
    #[test]
    fn a_table_is_the_product_with_the_spread_out_column(seed: [u8; 32], codes in proptest::collection::vec(0..ROWS, 1..60)) {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let columns = table(&codes, &mut rng);
        let index = examples(&declared(CategoryEncoding::Index), &columns);
        let spread = examples(&declared(CategoryEncoding::OneHot), &columns);
        prop_assert_eq!(&declared(CategoryEncoding::Index).spread_out(index.x()).unwrap(), spread.x());
        let (model, product) = pair(&mut rng);
        prop_assert_eq!(model.predict(index.x()).unwrap(), product.predict(spread.x()).unwrap());
        for precision in [Precision::Single, Precision::Double] {
            let wanted = pulled_back(model.params(), &sum_of(&product, &spread, WIDE, precision));
            prop_assert_eq!(sum_of(&model, &index, WIDE, precision), wanted);
        }
    }

    /// DP-05, DP-12: the norm that clips is that of the whole gradient, the looked-up rows included.
    #[test]
    fn the_norm_is_that_of_the_whole_gradient(seed: [u8; 32], code in 0..ROWS, part in 0.05_f64..0.95) {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let index = examples(&declared(CategoryEncoding::Index), &table(&[code], &mut rng));
        let (model, _) = pair(&mut rng);
        let whole = sum_of(&model, &index, WIDE, Precision::Double);
        prop_assume!(norm(&whole) > 0.0);
        let clip = part * norm(&whole);
        let clipped = sum_of(&model, &index, clip, Precision::Double);
        prop_assert!((norm(&clipped) - clip).abs() < 1e-12 * clip.max(1.0));
        for (got, wanted) in clipped.iter().zip(&whole) {
            prop_assert!((got - part * wanted).abs() < 1e-11 * clip.max(1.0));
        }
        // Of the table, the record moves its own row and no other.
        for (at, value) in clipped[..ROWS * WIDTH].iter().enumerate() {
            prop_assert!(at / WIDTH == code || *value == 0.0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// DP-08, PU-12: a record, or all rows of a person, move the tables and the layers behind them by at most the clip norm together.
    #[test]
    fn neighbours_are_within_the_norm(seed: [u8; 32], codes in proptest::collection::vec(0..ROWS, 2..50), gone in any::<usize>(), clip in 0.01_f64..20.0) {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let index = examples(&declared(CategoryEncoding::Index), &table(&codes, &mut rng));
        let (model, _) = pair(&mut rng);
        let mut fewer: Vec<usize> = (0..codes.len()).collect();
        fewer.remove(gone % codes.len());
        let moved = |with: &[f64], without: &[f64]| -> f64 {
            norm(&with.iter().zip(without).map(|(a, b)| a - b).collect::<Vec<f64>>())
        };
        let without = sum_of(&model, &index.subset(&fewer), clip, Precision::Single);
        let eta = float_error_eta(model.spec(), codes.len()).unwrap();
        let record = moved(&sum_of(&model, &index, clip, Precision::Single), &without);
        prop_assert!(record <= clip * (1.0 + eta), "{record} {clip}");

        // Persons of three rows, the last perhaps of fewer.
        let all: Vec<usize> = (0..codes.len()).collect();
        let persons: Vec<&[usize]> = all.chunks(3).collect();
        let sum = |persons: &[&[usize]]| {
            let clip = ClipNorm::new(clip).unwrap();
            let sum = clipped_person_sum(model.spec(), model.params(), (&index, persons), clip, None);
            sum.unwrap().sum
        };
        let mut others = persons.clone();
        others.remove(gone % persons.len());
        let person = moved(&sum(&persons), &sum(&others));
        prop_assert!(person <= clip * (1.0 + PERSON_ETA), "{person} {clip}");
    }
}

/// Finite differences of the loss over a table column between numbers, at random real parameters.
#[test]
fn gradients_agree_with_finite_differences() {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let index = examples(
        &declared(CategoryEncoding::Index),
        &table(&[0, 3, 4, 2, 0, 1], &mut rng),
    );
    let mut spec = embedding(&declared(CategoryEncoding::Index));
    if let ModelKind::Embedding { activation, .. } = &mut spec.kind {
        *activation = Activation::Tanh;
    }
    let model = Model::init(spec, &mut rng).unwrap();
    let sum = sum_of(&model, &index, WIDE, Precision::Double);
    for at in 0..sum.len() {
        let loss = |shift: f64| {
            let mut params = model.params().to_vec();
            params[at] += shift;
            let moved = Model::new(model.spec().clone(), params).unwrap();
            moved.loss(&index).unwrap() * index.len() as f64
        };
        let slope = (loss(1e-5) - loss(-1e-5)) / 2e-5;
        assert!((sum[at] - slope).abs() < 1e-6, "{at}: {} {slope}", sum[at]);
    }
}

/// PR-09: levels in order, then "other", then "missing"; of a discovered column the kept slots in their order.
#[test]
fn indices_follow_the_levels() {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let columns = table(&[2, 0, 3, 4, 1], &mut rng);
    let preparation = declared(CategoryEncoding::Index);
    assert_eq!(preparation.feature_names(), ["age", "colour", "size"]);
    assert_eq!(preparation.embedded(), [("colour", 1, ROWS)]);
    let index_of = |preparation: &Preparation, slot: &dyn Fn(&str, &str) -> u32| -> Vec<f32> {
        let x = preparation.transform(&columns, slot).unwrap().data;
        (0..x.rows()).map(|row| x.row(row)[1]).collect()
    };
    let none = |_: &str, _: &str| 0;
    assert_eq!(index_of(&preparation, &none), [2.0, 0.0, 3.0, 4.0, 1.0]);
    // red, blue and mauve fall into slots 3, 4 and 5, green into 5 as well; 3 and 5 are kept.
    let slots = Levels::Slots {
        slots: 8,
        kept: vec![3, 5],
    };
    let slot = |_: &str, value: &str| u32::try_from(value.len()).unwrap();
    let found = preparation_of(slots);
    assert_eq!(index_of(&found, &slot), [2.0, 0.0, 1.0, 3.0, 1.0]);
    assert_eq!(found.embedded(), [("colour", 1, 4)]);
}

fn preparation_of(levels: Levels) -> Preparation {
    preparation(CategoryEncoding::Index, levels)
}

/// A model file of before reads as it did, and one with an index says so.
#[test]
fn the_encoding_is_written_where_it_is_not_the_usual_one() {
    let spread = serde_json::to_string(&declared(CategoryEncoding::OneHot)).unwrap();
    assert!(!spread.contains("encoding"));
    let read: Preparation = serde_json::from_str(&spread).unwrap();
    assert_eq!(read, declared(CategoryEncoding::OneHot));
    let index = serde_json::to_string(&declared(CategoryEncoding::Index)).unwrap();
    let read: Preparation = serde_json::from_str(&index).unwrap();
    assert_eq!(read, declared(CategoryEncoding::Index));
}

/// Models with the same names of features, and tables of different rows, do not go on from each other.
#[test]
fn parts_tell_tables_apart() {
    let parts = |encoding| declared(encoding).input_parts();
    assert_eq!(
        parts(CategoryEncoding::Index)[..3],
        ["age", "row colour=red", "row colour=green"]
    );
    assert_ne!(
        parts(CategoryEncoding::Index),
        parts(CategoryEncoding::OneHot)
    );
    let turned = Levels::Declared(["green", "red", "blue"].map(str::to_owned).to_vec());
    assert_ne!(
        preparation_of(turned).input_parts(),
        parts(CategoryEncoding::Index)
    );
    let names: Vec<String> = tensors(&embedding(&declared(CategoryEncoding::Index)))
        .unwrap()
        .into_iter()
        .map(|tensor| tensor.name)
        .collect();
    assert_eq!(names[0], "layer0.table0");
}
