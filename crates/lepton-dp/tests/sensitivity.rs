//! Sensitivities against exhaustive search over small neighbouring data sets: never exceeded, and attained (ME-09 to ME-12).

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::num::NonZeroU32;

use lepton_dp::{Adjacency, Bounds, Contribution, Neighbours, Sensitivity, Unit};

type DataSet<R> = Vec<R>;

/// All lists of at most `most` of the records, order kept: enough for queries that add up.
fn lists<R: Clone>(domain: &[R], least: usize, most: usize) -> Vec<DataSet<R>> {
    let mut all = vec![vec![]];
    let mut from = 0;
    for _ in 0..most {
        let now = all.len();
        for index in from..now {
            for record in domain {
                let mut longer = all.get(index).unwrap().clone();
                longer.push(record.clone());
                all.push(longer);
            }
        }
        from = now;
    }
    all.retain(|list| list.len() >= least);
    all
}

/// What one data set has more than the other, on both sides.
fn neighbours<R: Clone>(of: Neighbours, domain: &[R]) -> Vec<(DataSet<R>, DataSet<R>)> {
    let most = match of.unit {
        Unit::Record | Unit::Party => 1,
        Unit::Person { max_records } => max_records.get() as usize,
    };
    let least = usize::from(!matches!(of.unit, Unit::Person { .. }));
    let with = lists(domain, least, most);
    let without = match of.adjacency {
        Adjacency::ReplaceOne => with.clone(),
        _ => vec![vec![]],
    };
    let pairs = with.iter().flat_map(|left| {
        without
            .iter()
            .map(move |right| (left.clone(), right.clone()))
    });
    pairs.collect()
}

/// The largest norms of the difference of the answers, over all neighbours with up to two records in common.
fn search<R: Clone>(of: Neighbours, domain: &[R], query: impl Fn(&[R]) -> Vec<f64>) -> Sensitivity {
    let mut found = Sensitivity {
        l0: 0,
        l1: 0.0,
        l2: 0.0,
        linf: 0.0,
    };
    for (left, right) in neighbours(of, domain) {
        for common in lists(domain, 0, 2) {
            let answer = |own: &[R]| query(&[own, &common].concat());
            let (left, right) = (answer(&left), answer(&right));
            let moved: Vec<f64> = left
                .iter()
                .zip(&right)
                .map(|(a, b)| (a - b).abs())
                .collect();
            let l1 = moved.iter().sum();
            let l2 = moved.iter().map(|x| x * x).sum::<f64>().sqrt();
            found = Sensitivity {
                l0: found
                    .l0
                    .max(moved.iter().filter(|x| **x > 0.0).count() as u64),
                l1: found.l1.max(l1),
                l2: found.l2.max(l2),
                linf: moved.iter().copied().fold(found.linf, f64::max),
            };
        }
    }
    found
}

fn all_neighbours() -> Vec<Neighbours> {
    let person = |max| Unit::Person {
        max_records: NonZeroU32::new(max).unwrap(),
    };
    let units = [Unit::Record, Unit::Party, person(1), person(2), person(3)];
    let with = |unit| {
        [Adjacency::AddRemove, Adjacency::ReplaceOne]
            .map(|adjacency| Neighbours { unit, adjacency })
    };
    units.into_iter().flat_map(with).collect()
}

/// Equal: neither exceeded nor above what is attained. (All numbers are exact in `f64` but the roots, off by less than 1e-15.)
fn agree(stated: Sensitivity, found: Sensitivity, of: Neighbours) {
    assert_eq!(
        (stated.l0, stated.l1, stated.linf),
        (found.l0, found.l1, found.linf),
        "{of:?}"
    );
    assert!(
        stated.l2 >= found.l2 && stated.l2 <= found.l2 * (1.0 + 1e-15),
        "{of:?} {stated:?} {found:?}"
    );
}

#[test]
fn sums_counts_and_squares() {
    for [lower, upper] in [
        [-1.0, 2.0],
        [0.0, 3.0],
        [1.0, 3.0],
        [-4.0, -0.5],
        [2.0, 2.0],
        [0.0, 0.0],
    ] {
        let bounds = Bounds::new(lower, upper).unwrap();
        let domain = [lower, bounds.clamp(0.0), bounds.clamp(1.25), upper];
        for of in all_neighbours() {
            let sum = search(of, &domain, |data| vec![data.iter().sum()]);
            let squares = search(of, &domain, |data| vec![data.iter().map(|x| x * x).sum()]);
            let count = search(of, &domain, |data| vec![data.len() as f64]);
            agree(of.sum(bounds), sum, of);
            agree(of.count(), count, of);
            for (stated, found) in of.mean(bounds).into_iter().zip([sum, count]) {
                agree(stated, found, of);
            }
            for (stated, found) in of.variance(bounds).into_iter().zip([sum, squares, count]) {
                agree(stated, found, of);
            }
        }
    }
}

#[test]
fn histograms() {
    for bins in 1..=7u32 {
        let domain: Vec<u32> = (0..bins).collect();
        for of in all_neighbours() {
            if bins > 4 && matches!(of.unit, Unit::Person { max_records } if max_records.get() > 2)
            {
                continue; // the search would take long
            }
            let found = search(of, &domain, |data| {
                let count = |bin| data.iter().filter(|record| **record == bin).count() as f64;
                (0..bins).map(count).collect()
            });
            agree(of.histogram(NonZeroU32::new(bins).unwrap()), found, of);
        }
    }
}

/// Vectors with at most two coordinates of magnitude 3, of four: every pattern of signs and places.
#[test]
fn sparse_vectors() {
    let dims = 4;
    let mut domain = vec![];
    for pattern in 0..3usize.pow(dims) {
        let vector: Vec<f64> = (0..dims)
            .map(|place| [0.0, 3.0, -3.0][pattern / 3usize.pow(place) % 3])
            .collect();
        if vector.iter().filter(|x| **x != 0.0).count() == 2 {
            domain.push(vector);
        }
    }
    // Two of them are enough to attain each norm, and four to reach all coordinates.
    let domain: Vec<Vec<f64>> = domain
        .into_iter()
        .step_by(3)
        .chain([
            vec![-3.0, -3.0, 0.0, 0.0],
            vec![3.0, 3.0, 0.0, 0.0],
            vec![0.0, 0.0, 3.0, 3.0],
        ])
        .collect();
    let sum = |data: &[Vec<f64>]| -> Vec<f64> {
        let coordinate = |place: usize| data.iter().filter_map(|v| v.get(place)).sum::<f64>();
        (0..dims as usize).map(coordinate).collect()
    };
    for of in all_neighbours() {
        if matches!(of.unit, Unit::Person { max_records } if max_records.get() > 2) {
            continue; // the search would take long
        }
        let found = {
            let mut found = Sensitivity {
                l0: 0,
                l1: 0.0,
                l2: 0.0,
                linf: 0.0,
            };
            for (left, right) in neighbours(of, &domain) {
                let moved: Vec<f64> = sum(&left)
                    .iter()
                    .zip(sum(&right))
                    .map(|(a, b)| (a - b).abs())
                    .collect();
                found.l0 = found
                    .l0
                    .max(moved.iter().filter(|x| **x > 0.0).count() as u64);
                found.l1 = found.l1.max(moved.iter().sum());
                found.l2 = found
                    .l2
                    .max(moved.iter().map(|x| x * x).sum::<f64>().sqrt());
                found.linf = moved.into_iter().fold(found.linf, f64::max);
            }
            found
        };
        agree(
            of.vector_sum(Contribution::sparse(2, 3.0).unwrap(), dims),
            found,
            of,
        );
    }
}

#[test]
fn clipped_vectors_and_joint_answers() {
    let replace = Neighbours {
        unit: Unit::Person {
            max_records: NonZeroU32::new(3).unwrap(),
        },
        adjacency: Adjacency::ReplaceOne,
    };
    let clipped = replace.vector_sum(Contribution::clipped(100, 0.5).unwrap(), 100);
    assert_eq!(
        (clipped.l0, clipped.l1, clipped.l2, clipped.linf),
        (100, 30.0, 3.0, 3.0)
    );
    let clipped = replace.vector_sum(Contribution::clipped_l1(100, 0.5).unwrap(), 100);
    assert_eq!((clipped.l1, clipped.l2, clipped.linf), (3.0, 3.0, 3.0));
    // Sum and count of values from -3 to 4 for one record more: moved by (4, 1) at most.
    let record = Neighbours {
        unit: Unit::Record,
        adjacency: Adjacency::AddRemove,
    };
    let joint = Sensitivity::joint(&record.mean(Bounds::new(-3.0, 4.0).unwrap()));
    assert_eq!((joint.l0, joint.l1, joint.linf), (2, 5.0, 4.0));
    assert!((joint.l2 - 17f64.sqrt()).abs() < 1e-14 && joint.l2 >= 17f64.sqrt());
}

#[test]
fn refusals() {
    assert!(Bounds::new(1.0, 0.0).is_err() && Bounds::new(f64::NAN, 0.0).is_err());
    assert!(Bounds::new(0.0, f64::INFINITY).is_err());
    assert!(Contribution::sparse(3, -1.0).is_err() && Contribution::clipped(3, f64::NAN).is_err());
    assert_eq!(Bounds::new(-1.0, 2.0).unwrap().clamp(f64::NAN), 2.0);
}
