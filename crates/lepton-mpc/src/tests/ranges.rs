//! Circuits that are refused, and the bounds of those that are not.

use lepton_ring::FixedPoint;

use super::*;
use crate::local::{self, LocalError};
use crate::range::LIMIT;

fn builder() -> CircuitBuilder {
    CircuitBuilder::new(parties(2))
}

fn integers(bound: u64) -> Encoding {
    Encoding::integers(bound).unwrap()
}

/// MP-04: the largest values that fit are computed with; one step more is refused.
#[test]
fn what_may_overflow_is_refused() {
    let mut c = builder();
    let x = c.input(party(0), 2, integers(LIMIT)).unwrap();
    let half = c.input(party(1), 2, integers(LIMIT / 2)).unwrap();
    let root = c.input(party(1), 2, integers((1 << 31) - 1)).unwrap();
    let above = c.input(party(1), 2, integers(1 << 31)).unwrap();
    assert!(matches!(c.add(x, half), Err(CircuitError::Overflow(_))));
    assert!(matches!(
        c.subtract(x, half),
        Err(CircuitError::Overflow(_))
    ));
    assert!(matches!(
        c.scale(half, i64::MIN),
        Err(CircuitError::Overflow(_))
    ));
    assert!(matches!(c.scale(half, -3), Err(CircuitError::Overflow(_))));
    assert!(matches!(c.total(x), Err(CircuitError::Overflow(_))));
    assert!(matches!(
        c.offset(x, &[0, 1]),
        Err(CircuitError::Overflow(_))
    ));
    assert!(matches!(
        c.multiply(above, above),
        Err(CircuitError::Overflow(_))
    ));
    assert!(matches!(
        c.inner_product(root, root),
        Err(CircuitError::Overflow(_))
    ));
    c.multiply(root, root).unwrap();
    c.total(half).unwrap();
    c.scale(half, -2).unwrap();
    assert!(Encoding::integers(LIMIT + 1).is_err());
    assert!(Encoding::reals(FixedPoint::new(62), 1).is_err());
}

/// MP-01, MP-03: what does not fit together.
#[test]
fn what_does_not_fit_together_is_refused() {
    assert_eq!(Parties::new(1), Err(CircuitError::Parties(1)));
    assert_eq!(Parties::new(65), Err(CircuitError::Parties(65)));
    let mut c = builder();
    let x = c.input(party(0), 2, integers(9)).unwrap();
    let y = c.input(party(1), 3, integers(9)).unwrap();
    let real = Encoding::reals(FixedPoint::new(3), 9).unwrap();
    let z = c.input(party(1), 2, real).unwrap();
    assert_eq!(c.add(x, y), Err(CircuitError::Length(2, 3)));
    assert_eq!(c.inner_product(x, y), Err(CircuitError::Length(2, 3)));
    assert_eq!(c.add(x, z), Err(CircuitError::FractionBits(0, 3)));
    assert_eq!(c.offset(x, &[1]), Err(CircuitError::Length(2, 1)));
    assert_eq!(
        c.truncate(z, 4),
        Err(CircuitError::Truncation { bits: 4, have: 3 })
    );
    assert_eq!(
        c.truncate(z, 0),
        Err(CircuitError::Truncation { bits: 0, have: 3 })
    );
    assert_eq!(
        c.input(party(2), 1, real),
        Err(CircuitError::Owner(party(2)))
    );
    assert_eq!(c.input(party(0), 0, real), Err(CircuitError::Size(0)));
    let elsewhere = Wire(40);
    assert_eq!(c.total(elsewhere), Err(CircuitError::Wire));
    assert_eq!(c.finish(), Err(CircuitError::NoOutput));
}

/// MP-05: the error bound of a short computation, by hand: x, y with half a step each, |x|, |y| <= 100 steps of 1/16.
#[test]
fn errors_are_those_of_the_rule() {
    let mut c = builder();
    let real = Encoding::reals(FixedPoint::new(4), 100).unwrap();
    let x = c.input(party(0), 3, real).unwrap();
    let y = c.input(party(1), 3, real).unwrap();
    let product = c.multiply(x, y).unwrap();
    let short = c.truncate(product, 4).unwrap();
    let inner = c.inner_product(x, y).unwrap();
    let sum = c.total(x).unwrap();
    for wire in [product, short, inner, sum] {
        c.open(wire).unwrap();
    }
    let zeros = vec![vec![0; 3]];
    let transcript = run(&session(1, c.finish().unwrap()), &[zeros.clone(), zeros], 1);
    let errors: Vec<_> = transcript.outputs[0]
        .all()
        .iter()
        .map(|o| o.half_steps)
        .collect();
    // 100 + 100 + 1; that over 16, rounded up, and 2; three times the first; three halves.
    assert_eq!(errors, [201, 15, 603, 3]);
    assert_eq!(transcript.outputs[0].all()[1].error(), 15.0 / 32.0);
}

/// The widest bound of a local computation: the values it names are taken, larger ones are refused with the bound.
#[test]
fn local_bounds_depend_on_shapes_only() {
    let fixed = FixedPoint::new(0);
    let largest = (1u64 << 31) as f64 - 1.0;
    let inner = |x: f64| local::inner_product(&[x], &[largest], 2, fixed, &mut rng(1));
    assert_eq!(inner(-largest).unwrap().values, [-largest * largest]);
    let refused = inner(largest + 1.0).unwrap_err();
    let bound = CallerReason::Bound {
        input: 0,
        position: 0,
        bound: (1 << 31) - 1,
    };
    assert_eq!(refused, LocalError::Fault(Fault::Caller(bound)));
    let nan = local::sum(&[vec![0.0], vec![f64::NAN]], fixed, &mut rng(1)).unwrap_err();
    assert!(matches!(nan, LocalError::Number { party: p, .. } if p == party(1)));
    let ragged = local::sum(&[vec![0.0], vec![]], fixed, &mut rng(1)).unwrap_err();
    assert_eq!(ragged, LocalError::Circuit(CircuitError::Size(0)));
    let alone = local::mean(&[vec![0.0]], fixed, &mut rng(1)).unwrap_err();
    assert_eq!(alone, LocalError::Circuit(CircuitError::Parties(1)));
}
