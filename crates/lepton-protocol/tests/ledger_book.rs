//! The arithmetic of lifetime budgets: never above, whatever is asked for, in whatever order (LG-01 to LG-05).
#![cfg(test)]

use std::collections::BTreeMap;

use lepton_dp::rdp::{Accountant, Event};
use lepton_dp::{Delta, Epsilon, NoiseMultiplier};
use lepton_protocol::ledger::{
    Amount, Book, Budget, BudgetError, Charge, Curve, Entry, FORMAT, Pace, Planned, Reserved, Rows,
    Side, Unit, What, planned_cost,
};
use proptest::prelude::*;

const DELTA: f64 = 1e-6;

fn budget(epsilon: f64) -> Budget {
    let numbers = (Epsilon::new(epsilon).unwrap(), Delta::new(DELTA).unwrap());
    Budget::new(Unit::Record, numbers, Budget::WARN_AT).unwrap()
}

fn rows(new: usize) -> Rows {
    Rows {
        new,
        known: 0,
        fingerprints: String::new(),
        id: None,
    }
}

fn entry(what: What) -> Entry {
    Entry {
        at: String::new(),
        what,
    }
}

/// A ledger with two data sets, `a` and `b`.
fn book(epsilon: f64) -> Book {
    let mut book = Book::new();
    let created = What::Created {
        format: FORMAT.to_owned(),
        ledger: "00".to_owned(),
        key_sha256: "11".to_owned(),
    };
    let set = |data: &str| What::BudgetSet {
        data: data.to_owned(),
        budget: budget(epsilon),
        rows: rows(10),
    };
    for what in [created, set("a"), set("b")] {
        book.apply(entry(what)).unwrap();
    }
    book
}

fn event(z: f64) -> Event {
    Event::Gaussian {
        noise_multiplier: NoiseMultiplier::new(z).unwrap(),
    }
}

fn planned(z: f64, count: u64) -> Vec<Planned> {
    vec![Planned {
        side: Side::Training,
        event: event(z),
        count,
        charges: count,
    }]
}

fn reserved(job: &str, z: f64, count: u64) -> Reserved {
    Reserved {
        job: job.to_owned(),
        title: format!("job `{job}`"),
        epsilon: 1.0,
        delta: DELTA,
        seats: BTreeMap::from([("one".to_owned(), vec![0]), ("two".to_owned(), vec![0, 1])]),
        unit: Unit::Record,
        person: None,
        curve: planned_cost(&planned(z, count), Unit::Record).unwrap(),
    }
}

fn charged(job: &str, seat: &str, side: Side, round: u64, z: f64) -> What {
    let charge = Charge {
        side,
        kind: "training".to_owned(),
        epoch: 1,
        round,
        attempt: 0,
        event: event(z),
        count: 1,
    };
    let mut cost = Accountant::new();
    cost.add(&charge.event, 1).unwrap();
    What::Charged {
        job: job.to_owned(),
        seat: seat.to_owned(),
        charge,
        cost: Curve::of(&cost),
    }
}

fn used(book: &Book, block: usize) -> Amount {
    let block = &book.blocks()[block];
    block.used().at(block.budget.order())
}

#[test]
fn a_job_reserves_charges_and_gives_the_rest_back() {
    let mut book = book(3.0);
    book.apply(entry(What::Reserved(reserved("j", 20.0, 10))))
        .unwrap();
    let whole = used(&book, 0);
    assert_eq!(used(&book, 1), whole);
    // LG-04: both parties charge the same four rounds, and a side each; a record is in one place.
    for round in 0..4 {
        for seat in ["one", "two"] {
            book.apply(entry(charged("j", seat, Side::Training, round, 20.0)))
                .unwrap();
        }
    }
    book.apply(entry(charged("j", "one", Side::HoldOut, 9, 20.0)))
        .unwrap();
    assert_eq!(used(&book, 0), whole, "charges lie within the reservation");
    book.apply(entry(What::Closed {
        job: "j".to_owned(),
    }))
    .unwrap();
    let mut four = Accountant::new();
    four.add(&event(20.0), 4).unwrap();
    let order = book.blocks()[0].budget.order();
    let (spent, exact) = (used(&book, 0), Curve::of(&four).at(order));
    assert!(
        spent >= exact && spent.units() - exact.units() <= 4,
        "{spent:?} {exact:?}"
    );
    assert_eq!(book.jobs()["j"].spent().at(order), spent);
}

/// LG-05: nothing twice, nothing after the end, nothing without a reservation.
#[test]
fn repeated_and_late_charges_are_refused() {
    let mut book = book(3.0);
    let charge = || entry(charged("j", "one", Side::Training, 1, 20.0));
    assert!(matches!(book.apply(charge()), Err(BudgetError::Use(_))));
    book.apply(entry(What::Reserved(reserved("j", 20.0, 10))))
        .unwrap();
    let again = book.apply(entry(What::Reserved(reserved("j", 20.0, 10))));
    assert!(matches!(again, Err(BudgetError::Repeated(..))));
    book.apply(charge()).unwrap();
    assert!(matches!(
        book.apply(charge()),
        Err(BudgetError::Repeated(..))
    ));
    book.apply(entry(charged("j", "two", Side::Training, 1, 20.0)))
        .unwrap();
    let stranger = book.apply(entry(charged("j", "three", Side::Training, 1, 20.0)));
    assert!(matches!(stranger, Err(BudgetError::Use(_))));
    book.apply(entry(What::Closed {
        job: "j".to_owned(),
    }))
    .unwrap();
    let late = book.apply(entry(charged("j", "one", Side::Training, 2, 20.0)));
    assert!(matches!(late, Err(BudgetError::Repeated(..))));
    assert!(
        book.apply(entry(What::Closed {
            job: "j".to_owned()
        }))
        .is_err()
    );
}

/// LG-01, LG-02: a refusal says what is left, and what it says fits.
#[test]
fn a_refusal_says_what_fits() {
    let mut book = book(2.0);
    book.apply(entry(What::Reserved(reserved("first", 12.0, 10))))
        .unwrap();
    let wanted = reserved("second", 6.0, 10);
    let error = book
        .check(&entry(What::Reserved(wanted.clone())))
        .unwrap_err();
    let error = book.explain(error, &wanted, &planned(6.0, 10));
    let BudgetError::Exceeded(shortfall) = &error else {
        panic!("{error}")
    };
    assert!(shortfall.remaining() < shortfall.needed && shortfall.further() == 0);
    let text = error.to_string();
    let largest: f64 = text.rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(Some(largest), shortfall.largest_epsilon);
    assert!(
        text.contains("refuses job `second`") && text.contains("epsilon 2 at delta 0.000001"),
        "{text}"
    );
    let fitting = lepton_dp::calibrate(
        Epsilon::new(largest).unwrap(),
        Delta::new(DELTA).unwrap(),
        |z| {
            let mut total = Accountant::new();
            total.add(
                &Event::Gaussian {
                    noise_multiplier: z,
                },
                10,
            )?;
            Ok(total)
        },
    );
    book.apply(entry(What::Reserved(reserved(
        "second",
        fitting.unwrap().get(),
        10,
    ))))
    .unwrap();
}

/// LG-05: a charge beyond the reservation is admitted only if the rest covers it.
#[test]
fn a_reservation_is_no_licence() {
    let mut book = book(1.0);
    book.apply(entry(What::Reserved(reserved("j", 100.0, 1))))
        .unwrap();
    let mut admitted = 0;
    while book
        .apply(entry(charged("j", "one", Side::Training, admitted, 15.0)))
        .is_ok()
    {
        admitted += 1;
    }
    assert!(admitted > 1 && used(&book, 0) <= book.blocks()[0].budget.capacity());
    let error = book
        .check(&entry(charged("j", "one", Side::Training, 99, 15.0)))
        .unwrap_err();
    assert!(
        error.to_string().contains("0 such requests still fit"),
        "{error}"
    );
    // LG-04: the other party's records may lose as much; a release that costs more than that is refused to it too.
    assert!(
        book.check(&entry(charged("j", "two", Side::Training, 99, 15.0)))
            .is_ok()
    );
    assert!(
        book.check(&entry(charged("j", "two", Side::Training, 99, 0.5)))
            .is_err()
    );
}

/// A ledger with one data set, `a`, whose budget is for `unit`.
fn book_for(unit: Unit) -> Book {
    let mut book = Book::new();
    let created = What::Created {
        format: FORMAT.to_owned(),
        ledger: "00".to_owned(),
        key_sha256: "11".to_owned(),
    };
    let numbers = (Epsilon::new(4.0).unwrap(), Delta::new(DELTA).unwrap());
    let set = What::BudgetSet {
        data: "a".to_owned(),
        budget: Budget::new(unit, numbers, Budget::WARN_AT).unwrap(),
        rows: rows(10),
    };
    for what in [created, set] {
        book.apply(entry(what)).unwrap();
    }
    book
}

fn protecting(unit: Unit, seats: &[&str]) -> Reserved {
    Reserved {
        seats: seats
            .iter()
            .map(|seat| ((*seat).to_owned(), vec![0]))
            .collect(),
        unit,
        curve: planned_cost(&planned(40.0, 4), unit).unwrap(),
        ..reserved("j", 40.0, 4)
    }
}

/// LG-14: a job protects at least what the budget protects; a coarser one is charged for an exchange.
#[test]
fn a_job_protects_what_the_budget_protects() {
    use Unit::{Party, Person, Record};
    for budget in [Record, Person, Party] {
        for job in [Record, Person, Party] {
            let reserved = protecting(job, &["one"]);
            let done = book_for(budget).apply(entry(What::Reserved(reserved.clone())));
            if job < budget {
                assert!(matches!(done, Err(BudgetError::Unit { .. })), "{done:?}");
                continue;
            }
            done.unwrap();
            let mut book = book_for(budget);
            book.apply(entry(What::Reserved(reserved.clone()))).unwrap();
            let order = book.blocks()[0].budget.order();
            let due = if job > budget {
                reserved.curve.exchanged()
            } else {
                reserved.curve
            };
            assert_eq!(used(&book, 0), due.at(order), "{job:?} on {budget:?}");
        }
    }
    // A whole table has one guarantee only where it is at one party.
    let dealt = entry(What::Reserved(protecting(Party, &["one", "two"])));
    assert!(matches!(
        book_for(Party).apply(dealt),
        Err(BudgetError::Spread(_))
    ));
}

/// LG-04: a person has records on both sides, a record does not.
#[test]
fn the_sides_of_a_person_add_up() {
    let spent = |unit: Unit| {
        let mut book = book_for(unit);
        book.apply(entry(What::Reserved(protecting(unit, &["one"]))))
            .unwrap();
        for side in [Side::Training, Side::HoldOut] {
            book.apply(entry(charged("j", "one", side, 1, 40.0)))
                .unwrap();
        }
        book.apply(entry(What::Closed {
            job: "j".to_owned(),
        }))
        .unwrap();
        used(&book, 0).units()
    };
    assert_eq!(spent(Unit::Person), 2 * spent(Unit::Record));
}

/// A book with one data set of ten rows, whose budget of epsilon 4 has a plan for jobs and for thirty days.
fn paced() -> (Book, Budget) {
    let plan = [
        Pace::Period {
            part: 0.3,
            days: 30,
        },
        Pace::Job { part: 0.2 },
    ];
    let mut book = Book::new();
    let created = What::Created {
        format: FORMAT.to_owned(),
        ledger: "00".to_owned(),
        key_sha256: "11".to_owned(),
    };
    let planned = budget(4.0).with_plan(&plan, None).unwrap();
    assert!(planned.capacity() == budget(4.0).capacity() && planned.is_sound());
    let set = What::BudgetSet {
        data: "a".to_owned(),
        budget: planned,
        rows: rows(10),
    };
    for what in [created, set] {
        book.apply(Entry {
            at: "2026-01-01T00:00:00Z".to_owned(),
            what,
        })
        .unwrap();
    }
    (book, planned)
}

/// LG-13: within the budget, and no faster than planned; a clock put back opens nothing.
#[test]
fn a_plan_slows_spending_down() {
    let (mut book, planned) = paced();
    let mut apply = |at: &str, what: What| {
        book.apply(Entry {
            at: at.to_owned(),
            what,
        })
    };
    // Each takes about an eighth of the budget.
    let unit = reserved("probe", 100.0, 1)
        .curve
        .at(planned.order())
        .units();
    let count = planned.capacity().units() / 8 / unit;
    let job = |name: &str, times: u64| {
        let seats = BTreeMap::from([("one".to_owned(), vec![0])]);
        What::Reserved(Reserved {
            seats,
            ..reserved(name, 100.0, count * times)
        })
    };
    let slow = |done: Result<(), BudgetError>| matches!(done, Err(BudgetError::Paced(_)));
    assert!(slow(apply("2026-02-01T00:00:00Z", job("large", 2))));
    apply("2026-02-01T00:00:00Z", job("first", 1)).unwrap();
    apply("2026-02-20T00:00:00Z", job("second", 1)).unwrap();
    assert!(slow(apply("2026-02-21T00:00:00Z", job("third", 1))));
    assert!(slow(apply("2025-02-21T00:00:00Z", job("third", 1))));
    assert!(matches!(
        apply("soon", job("third", 1)),
        Err(BudgetError::Use(_))
    ));
    apply("2026-03-04T00:00:00Z", job("third", 1)).unwrap();
    // Charges within a reservation need no new leave; the lifetime limit holds at any pace.
    apply(
        "2026-03-05T00:00:00Z",
        charged("third", "one", Side::Training, 1, 100.0),
    )
    .unwrap();
    let months = (4..13).map(|month| format!("2026-{month:02}-28T00:00:00Z"));
    let admitted = months.filter(|at| apply(at, job(at, 1)).is_ok()).count();
    assert_eq!(admitted, 5, "eight eighths in all, rounded down");
    let block = &book.blocks()[0];
    assert!(block.used().at(planned.order()) <= planned.capacity());
    let warnings = book.warnings(block, "2026-03-06T00:00:00Z");
    assert!(
        warnings
            .iter()
            .any(|words| words.contains("gives to 30 days is left")),
        "{warnings:?}"
    );
    assert!(
        warnings[0].contains("further jobs will be refused soon"),
        "{warnings:?}"
    );
}

/// LG-13: another plan changes the pace, and nothing else.
#[test]
fn another_plan_changes_the_pace_alone() {
    let plan = [
        Pace::Period {
            part: 0.3,
            days: 30,
        },
        Pace::Job { part: 0.2 },
    ];
    let mut book = book(4.0);
    let anew = |plan: &[Pace], warn_at| What::Planned {
        data: "a".to_owned(),
        plan: plan.to_vec(),
        warn_at,
    };
    let before = book.blocks()[0].budget;
    for wrong in [
        anew(&[Pace::Job { part: 1.5 }], None),
        anew(&[Pace::Period { part: 0.5, days: 0 }], None),
        anew(&[], Some(2.0)),
    ] {
        assert!(book.apply(entry(wrong)).is_err());
    }
    assert_eq!(book.blocks()[0].budget, before);
    book.apply(entry(anew(&plan, Some(0.5)))).unwrap();
    let planned = book.blocks()[0].budget;
    assert_eq!(planned, budget(4.0).with_plan(&plan, Some(0.5)).unwrap());
    assert_eq!(planned.capacity(), before.capacity());
    book.apply(entry(anew(&[], Some(Budget::WARN_AT)))).unwrap();
    assert_eq!(book.blocks()[0].budget, before);
}

/// Twin: an entry that somebody wrote with a larger capacity than its epsilon allows.
#[test]
fn a_stored_budget_cannot_promise_more() {
    let text = serde_json::to_string(&What::BudgetSet {
        data: "c".to_owned(),
        budget: budget(3.0),
        rows: rows(1),
    })
    .unwrap();
    let capacity = budget(3.0).capacity().units().to_string();
    let larger = text.replace(&capacity, &(budget(3.0).capacity().units() + 1).to_string());
    let parse = |text: &str| entry(serde_json::from_str(text).unwrap());
    assert!(book(1.0).apply(parse(&text)).is_ok());
    assert!(book(1.0).apply(parse(&larger)).is_err());
}

/// What a random schedule does next.
#[derive(Debug, Clone)]
enum Step {
    Reserve {
        job: u8,
        z: f64,
        count: u64,
    },
    Charge {
        job: u8,
        seat: bool,
        side: bool,
        round: u64,
        z: f64,
    },
    Close {
        job: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..6, 2.0f64..40.0, 1u64..20).prop_map(|(job, z, count)| Step::Reserve {
            job,
            z,
            count
        }),
        (0u8..6, any::<bool>(), any::<bool>(), 0u64..30, 1.0f64..40.0).prop_map(
            |(job, seat, side, round, z)| Step::Charge {
                job,
                seat,
                side,
                round,
                z
            }
        ),
        (0u8..6).prop_map(|job| Step::Close { job }),
    ]
}

fn entry_of(step: &Step) -> Entry {
    entry(match step {
        Step::Reserve { job, z, count } => What::Reserved(reserved(&job.to_string(), *z, *count)),
        Step::Charge {
            job,
            seat,
            side,
            round,
            z,
        } => charged(
            &job.to_string(),
            if *seat { "one" } else { "two" },
            if *side { Side::Training } else { Side::HoldOut },
            *round,
            *z,
        ),
        Step::Close { job } => What::Closed {
            job: job.to_string(),
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked for: no block passes its capacity, a refusal changes nothing, what was charged on the worst side is covered, and the stored
    /// entries give the same state again.
    #[test]
    fn never_above_the_limit(steps in proptest::collection::vec(step(), 1..60)) {
        let mut book = book(2.0);
        let mut kept = Vec::new();
        let mut exact: BTreeMap<(u8, bool, bool), Accountant> = BTreeMap::new();
        for step in &steps {
            let before = [used(&book, 0), used(&book, 1)];
            if book.apply(entry_of(step)).is_ok() {
                kept.push(entry_of(step));
                if let Step::Charge { job, seat, side, z, .. } = step {
                    exact.entry((*job, *seat, *side)).or_default().add(&event(*z), 1).unwrap();
                }
            } else {
                prop_assert_eq!(before, [used(&book, 0), used(&book, 1)]);
            }
            for block in book.blocks() {
                prop_assert!(block.used().at(block.budget.order()) <= block.budget.capacity());
            }
        }
        // By the float accountant: the worst record of block 0 lies, in each job, on the dearest side.
        let order = book.blocks()[0].budget.order();
        let mut worst = 0.0;
        for job in 0u8..6 {
            let sides = exact.iter().filter(|((of, ..), _)| *of == job);
            let rdp = |accountant: &Accountant| accountant.rdp().find(|(at, _)| *at == order).unwrap().1;
            worst += sides.map(|(_, accountant)| rdp(accountant)).fold(0.0, f64::max);
        }
        prop_assert!(worst <= used(&book, 0).divergence() * (1.0 + 1e-9));
        let mut again = self::book(2.0);
        for entry in kept {
            again.apply(entry).unwrap();
        }
        prop_assert_eq!([used(&again, 0), used(&again, 1)], [used(&book, 0), used(&book, 1)]);
    }

    /// LG-03: charges that all fit amount to the same in any order.
    #[test]
    fn sums_do_not_depend_on_order(zs in proptest::collection::vec(30.0f64..200.0, 2..12), swap in 0usize..12) {
        let total = |zs: &[f64]| {
            let mut book = book(8.0);
            book.apply(entry(What::Reserved(reserved("j", 1000.0, 1)))).unwrap();
            for (round, z) in (0..).zip(zs) {
                book.apply(entry(charged("j", "two", Side::Training, round, *z))).unwrap();
            }
            book.blocks()[1].used()
        };
        let mut turned = zs.clone();
        turned.rotate_left(swap % zs.len());
        prop_assert_eq!(total(&zs), total(&turned));
    }
}
