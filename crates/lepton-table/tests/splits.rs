//! Splits: nobody's row is lost or doubled, refusals say who and why, and draws have the distribution they claim.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, in its helper functions too"
)]

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use lepton_table::split::{
    PartyPart, SplitError, by_column, by_number, dirichlet, even, holdout, large_enough,
};
use lepton_table::{ReadOptions, Table};
use proptest::prelude::*;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn read(text: &str) -> Table {
    Table::from_csv_bytes("t.csv", text.as_bytes(), &ReadOptions::default()).unwrap()
}

fn names(parts: &[PartyPart]) -> Vec<&str> {
    parts.iter().map(|part| part.name.as_str()).collect()
}

fn sizes(parts: &[PartyPart]) -> Vec<usize> {
    parts.iter().map(|part| part.rows.len()).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, SplitError>, text: &str) {
    assert_eq!(result.unwrap_err().to_string(), text);
}

fn is_partition(parts: &[PartyPart], rows: usize) -> bool {
    let mut all: Vec<usize> = parts.iter().flat_map(|part| part.rows.clone()).collect();
    all.sort_unstable();
    all == (0..rows).collect::<Vec<_>>() && parts.iter().all(|part| part.rows.is_sorted())
}

#[test]
fn one_party_per_value() {
    let parts = by_column(&read("k,v\nb,1\na,2\nb,3\na,4\na,5\n"), "k", None).unwrap();
    assert_eq!(
        parts,
        [
            PartyPart {
                name: "a".to_owned(),
                rows: vec![1, 3, 4]
            },
            PartyPart {
                name: "b".to_owned(),
                rows: vec![0, 2]
            },
        ]
    );
    let parts = by_column(&read("k,v\n10,1\n9,2\n10,3\n9,4\n"), "k", None).unwrap();
    assert_eq!(names(&parts), ["9", "10"]);
}

#[test]
fn values_are_grouped_by_size() {
    let counts = [
        ("a", 2),
        ("b", 9),
        ("c", 3),
        ("d", 4),
        ("e", 2),
        ("f", 1),
        ("g", 1),
    ];
    let text: String = counts
        .iter()
        .map(|(value, count)| format!("{value},1\n").repeat(*count))
        .collect();
    let table = read(&format!("k,v\n{text}"));
    let parts = by_column(&table, "k", Some(2)).unwrap();
    // b | d, c, a, then e to b's party? 9 | 4 7 9, a tie: the first party takes e; f and g follow to the smaller one.
    assert_eq!(names(&parts), ["a+c+3 more", "b+e"]);
    assert_eq!(sizes(&parts), [11, 11]);
    assert!(is_partition(&parts, 22));
    assert_eq!(by_column(&table, "k", Some(2)).unwrap(), parts);
    let parts = by_column(&table, "k", Some(3)).unwrap();
    assert_eq!(sizes(&parts).iter().sum::<usize>(), 22);
    assert_eq!(
        names(&by_column(&read("k,v\na,1\nb,1\nc,1\nc,1\nc,1\nd,1\n"), "k", Some(2)).unwrap()),
        ["a+b+d", "c"]
    );
}

#[test]
fn refusals_of_a_column() {
    let table = read("k,v,n\na,1,x\na,2,\n,3,x\nb,4,\n");
    refused(
        by_column(&table, "n", None),
        "t.csv, column \"n\": 2 of 4 rows without a value (first on line 3), so no party holds them; fill in the values or remove the rows",
    );
    let table = read("k,v\na,1\na,2\nb,4\n");
    refused(
        by_column(&table, "k", None),
        "party \"b\" would hold 1 row, it needs at least 2; take fewer parties, or give it more rows",
    );
    refused(
        by_column(&table, "k", Some(0)),
        "a split needs at least one party; set the number of parties",
    );
    refused(
        by_column(&table, "k", Some(3)),
        "t.csv, column \"k\": 2 distinct values cannot make 3 parties; take at most 2",
    );
    refused(
        by_column(&table, "q", None),
        "t.csv: there is no column \"q\"; did you mean \"k\"?",
    );
}

#[test]
fn refusals_of_counts() {
    let labels = [Some("a"); 3];
    for result in [
        even(3, 4, &mut rng(1)),
        dirichlet(&labels, 4, 1.0, &mut rng(1)),
    ] {
        refused(
            result,
            "4 parties cannot share 3 rows: every party needs at least 2; take fewer parties or more rows",
        );
    }
    for result in [
        even(3, 0, &mut rng(1)),
        dirichlet(&labels, 0, 1.0, &mut rng(1)),
    ] {
        refused(
            result,
            "a split needs at least one party; set the number of parties",
        );
    }
    refused(
        even(3, 2, &mut rng(1)),
        "party \"party-2\" would hold 1 row, it needs at least 2; take fewer parties, or give it more rows",
    );
    for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let text = format!(
            "alpha {alpha} is not a concentration; take a number from 1e-6 (each class at one party) to 1e9 (every class spread evenly)"
        );
        refused(dirichlet(&labels, 1, alpha, &mut rng(1)), &text);
    }
    for fraction in [-0.1, 1.0, f64::NAN] {
        let text = format!(
            "test fraction {fraction} is not a share; take a number from 0 up to, but not including, 1"
        );
        refused(holdout(3, fraction, &mut rng(1)), &text);
    }
}

#[test]
fn names_sort_as_their_numbers() {
    let parts = even(30, 10, &mut rng(1)).unwrap();
    assert!(names(&parts).is_sorted());
    assert_eq!(
        (parts[0].name.as_str(), parts[9].name.as_str()),
        ("party-01", "party-10")
    );
}

#[test]
fn small_alphas_give_each_class_to_one_party() {
    let labels: Vec<Option<String>> = (0..400).map(|row| Some((row % 4).to_string())).collect();
    let parts = dirichlet(&labels, 5, 1e-6, &mut rng(3)).unwrap();
    // Topping up moves at most two rows to each of the five parties; the rest of a class stays with one of them.
    for class in 0..4 {
        let held = |part: &PartyPart| part.rows.iter().filter(|row| *row % 4 == class).count();
        assert!(parts.iter().map(held).max().unwrap() >= 90);
    }
    assert!(is_partition(&parts, 400));
}

#[test]
fn large_alphas_spread_every_class() {
    let labels: Vec<Option<String>> = (0..400).map(|row| Some((row % 4).to_string())).collect();
    // Shares deviate from 1/5 by about 1e-5, a hundredth of a row: rounding gives every party 20 rows of each class.
    assert_eq!(
        sizes(&dirichlet(&labels, 5, 1e9, &mut rng(3)).unwrap()),
        [80; 5]
    );
}

#[test]
fn even_deals_every_row_to_every_party_alike() {
    // Row 0 of 9 falls to party 1 of 3 with probability 1/3. Hoeffding: 20,000 draws stray by 0.02 with probability 2 exp(-16) = 2e-7.
    let mut rng = rng(5);
    let hits = (0..20_000)
        .filter(|_| even(9, 3, &mut rng).unwrap()[0].rows.contains(&0))
        .count();
    assert!((hits as f64 / 20_000.0 - 1.0 / 3.0).abs() < 0.02, "{hits}");
}

#[test]
fn holdout_is_a_coin_per_record() {
    let (train, test) = holdout(100_000, 0.25, &mut rng(7)).unwrap();
    assert_eq!(train.len() + test.len(), 100_000);
    // Hoeffding: the share strays by 0.01 with probability 2 exp(-20) = 4e-9.
    assert!(
        (test.len() as f64 / 100_000.0 - 0.25).abs() < 0.01,
        "{}",
        test.len()
    );
    // Neighbours are independent: 50,000 disjoint pairs, both aside with probability 1/16; straying by 0.013 has probability 2 exp(-16.9) = 9e-8.
    let aside: Vec<bool> = (0..100_000)
        .map(|row| test.binary_search(&row).is_ok())
        .collect();
    let both = aside.chunks(2).filter(|pair| pair[0] && pair[1]).count();
    assert!((both as f64 / 50_000.0 - 0.0625).abs() < 0.013, "{both}");
    assert!(holdout(50, 0.0, &mut rng(7)).unwrap().1.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splits_are_partitions(classes in proptest::collection::vec(proptest::option::of(0_u8..4), 1..80), parties in 1_usize..12, power in -6_i32..9, seed: u64) {
        let labels: Vec<Option<String>> = classes.iter().map(|class| class.map(|class| class.to_string())).collect();
        let possible = labels.len() >= 2 * parties;
        let skewed = dirichlet(&labels, parties, 10_f64.powi(power), &mut rng(seed));
        let dealt = even(labels.len(), parties, &mut rng(seed));
        prop_assert_eq!((skewed.is_ok(), dealt.is_ok()), (possible, possible));
        for parts in [skewed, dealt].into_iter().flatten() {
            prop_assert!(is_partition(&parts, labels.len()));
            prop_assert!(parts.len() == parties && parts.iter().all(|part| part.rows.len() >= 2));
        }
        if let Ok(parts) = even(labels.len(), parties, &mut rng(seed)) {
            let sizes = sizes(&parts);
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn a_records_side_ignores_the_records_after_it(rows in 1_usize..60, more in 0_usize..60, seed: u64) {
        let (_, fewer) = holdout(rows, 0.4, &mut rng(seed)).unwrap();
        let (_, all) = holdout(rows + more, 0.4, &mut rng(seed)).unwrap();
        prop_assert_eq!(fewer, all.into_iter().filter(|row| *row < rows).collect::<Vec<_>>());
    }

    #[test]
    fn groups_of_values_are_a_partition(values in proptest::collection::vec(0_u8..6, 24..60), parties in 1_usize..4) {
        let text: String = values.iter().map(|value| format!("v{value},1\n")).collect();
        let table = read(&format!("k,v\n{text}"));
        if let Ok(parts) = by_column(&table, "k", Some(parties)) {
            prop_assert!(is_partition(&parts, values.len()));
            prop_assert_eq!(parts.len(), parties);
        }
    }
}

#[test]
fn a_row_goes_where_its_own_number_says() {
    let numbers: Vec<u64> = (0..9).map(|row| row * (u64::MAX / 9) + 7).collect();
    let parts = by_number(&numbers, 3).unwrap();
    assert_eq!(names(&parts), ["party-1", "party-2", "party-3"]);
    assert_eq!(sizes(&parts), [3, 3, 3]);
    // Without a row, every other one stays where it was.
    let fewer: Vec<u64> = [&numbers[..4], &numbers[5..]].concat();
    for (all, few) in parts.iter().zip(by_number(&fewer, 3).unwrap()) {
        let moved = |row: &usize| if *row > 4 { row - 1 } else { *row };
        let kept: Vec<usize> = all
            .rows
            .iter()
            .filter(|row| **row != 4)
            .map(moved)
            .collect();
        assert_eq!(few.rows, kept);
    }
    refused(
        large_enough(by_number(&[0, 1, 2, 3], 2).unwrap()),
        "party \"party-2\" would hold 0 rows, it needs at least 2; take fewer parties, or give it more rows",
    );
    assert!(matches!(by_number(&numbers, 0), Err(SplitError::NoParties)));
}
