//! Policies: what is read, what each rule refuses, what is told to whom, and what is said to the person who approves.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers outside of test functions; the reference is a file"
)]

use lepton_dp::{Delta, Epsilon};
use lepton_protocol::job::Job;
use lepton_protocol::plan::Plan;
use lepton_protocol::policy::{
    Decision, FIELDS, Figures, Granted, Moment, Policy, Refusal, Request, Role, Rule, Submitter,
    explain, reference_markdown,
};
use proptest::prelude::*;

const JOB: &str = r#"
[job]
name = "heart"
[data]
table = "patients"
label = "disease"
features = ["age", "sex"]
types = { age = "number", sex = "category", disease = "category" }
classes = ["no", "yes"]
[prepare]
bounds = { age = [0, 110] }
[model]
kind = "logistic"
[training]
rounds = 20
sampling_rate = 0.2
[privacy]
epsilon = 2.0
"#;

const POLICY: &str = r#"
[submit]
roles = ["scientist"]
[tables.patients]
closed_columns = ["name"]
[approval]
person = "never"
"#;

/// What is written in place of what.
type Change = &'static [(&'static str, &'static str)];

/// 2026-11-21 12:00 UTC, a Saturday.
const NOON: Moment = Moment::from_unix(1_795_262_400);

fn policy(change: &[(&str, &str)]) -> Policy {
    Policy::parse("policy.toml", &changed(POLICY, change)).unwrap()
}

fn changed(text: &str, change: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in change {
        if from.is_empty() {
            text.push_str(to);
        } else {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
    }
    text
}

fn plan(change: &[(&str, &str)], parties: u16) -> Plan {
    let job = Job::parse("job.toml", &changed(JOB, change), &[]).unwrap();
    Plan::new(job, parties).unwrap()
}

fn scientist() -> Submitter {
    Submitter {
        name: "anna".to_owned(),
        serial: "00:1F:a0".to_owned(),
        roles: vec![Role::Scientist],
    }
}

struct Case {
    policy: Policy,
    figures: Figures,
    submitter: Submitter,
    rows: Option<u64>,
    now: Moment,
    begun: bool,
    granted: Vec<Granted>,
}

impl Case {
    fn new(of_policy: &[(&str, &str)], of_job: &[(&str, &str)]) -> Self {
        Self {
            policy: policy(of_policy),
            figures: Figures::of(&plan(of_job, 5)),
            submitter: scientist(),
            rows: Some(1000),
            now: NOON,
            begun: false,
            granted: Vec::new(),
        }
    }

    fn decide(&self) -> Decision {
        self.policy.decide(&Request {
            figures: &self.figures,
            submitter: &self.submitter,
            rows: self.rows,
            now: self.now,
            begun: self.begun,
            granted: &self.granted,
            approved: None,
        })
    }

    fn refusal(&self) -> Refusal {
        match self.decide() {
            Decision::Refuse(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn what_the_policy_opens_is_accepted() {
    assert_eq!(Case::new(&[], &[]).decide(), Decision::Accept);
}

/// One change of the policy or the job for each rule; without it the job is accepted (the test above).
#[test]
fn every_rule_refuses_what_breaks_it() {
    let cases: &[(Rule, Change, Change)] = &[
        (Rule::Seed, &[], &[("[job]", "[job]\ninsecure_seed = 1")]),
        (Rule::Submitter, &[("\"scientist\"", "\"auditor\"")], &[]),
        (Rule::Table, &[("tables.patients", "tables.others")], &[]),
        (
            Rule::Table,
            &[],
            &[("table = \"patients\"", "tables = [\"a.csv\", \"b.csv\"]")],
        ),
        (Rule::Column, &[("\"name\"", "\"age\"")], &[]),
        (Rule::Column, &[("\"name\"", "\"disease\"")], &[]),
        (
            Rule::Column,
            &[(
                "closed_columns = [\"name\"]",
                "columns = [\"age\", \"disease\"]",
            )],
            &[],
        ),
        (Rule::Parties, &[("", "[parties]\nleast = 6\n")], &[]),
        (Rule::Parties, &[("", "[parties]\nmost = 4\n")], &[]),
        (Rule::Floors, &[("", "[protection]\ncolluders = 2\n")], &[]),
        (Rule::Floors, &[("", "[protection]\nthreshold = 5\n")], &[]),
        (Rule::Floors, &[("", "[protection]\nquorum = 5\n")], &[]),
        (Rule::Goal, &[], &[("[privacy]\nepsilon = 2.0", "")]),
        (Rule::Unit, &[("", "[privacy]\nunit = \"person\"\n")], &[]),
        (Rule::Loss, &[("", "[privacy]\nepsilon = 1.9\n")], &[]),
        (Rule::Loss, &[("", "[privacy]\ndelta = 1e-6\n")], &[]),
        (
            Rule::Period,
            &[("", "[privacy]\nperiod_epsilon = 1.9\n")],
            &[],
        ),
        (
            Rule::Period,
            &[("", "[privacy]\nperiod_delta = 9e-6\n")],
            &[],
        ),
        (Rule::Size, &[("", "[model]\nparameters = 1\n")], &[]),
        (Rule::Size, &[("", "[model]\nrounds = 19\n")], &[]),
        (
            Rule::Hours,
            &[("", "[hours]\ndays = [\"mon\", \"sun\"]\n")],
            &[],
        ),
        (Rule::Hours, &[("", "[hours]\nfrom = \"12:01\"\n")], &[]),
        (Rule::Hours, &[("", "[hours]\nto = \"12:00\"\n")], &[]),
    ];
    for (rule, of_policy, of_job) in cases {
        let refusal = Case::new(of_policy, of_job).refusal();
        assert_eq!(refusal.rule, *rule, "{refusal}");
        assert!(refusal.outward().contains(rule.id()), "{refusal:?}");
        assert!(refusal.to_string().contains(rule.id()), "{refusal:?}");
    }
}

#[test]
fn sums_by_group_must_be_allowed() {
    let robust = [(
        "rounds = 20",
        "rounds = 20\ncombine = \"median\"\ngroups = 3",
    )];
    let mut case = Case::new(&[], &[]);
    case.figures = Figures::of(&plan(&robust, 20));
    assert_eq!(case.refusal().rule, Rule::Aggregation);
    case.policy = policy(&[("", "[protection]\ngroup_sums = true\n")]);
    assert_eq!(case.decide(), Decision::Accept);
}

/// PO-18: exact sums at parameters of the submitter's choice need a word of their own.
#[test]
fn an_exact_job_from_a_given_model_must_be_allowed() {
    const EXACT: (&str, &str) = ("[privacy]\nepsilon = 2.0", "");
    const START: (&str, &str) = ("kind = \"logistic\"", "kind = \"logistic\"\nstart = \"m\"");
    let open = [("", "[privacy]\nrequired = false\n")];
    assert_eq!(Case::new(&open, &[EXACT]).decide(), Decision::Accept);
    let refusal = Case::new(&open, &[EXACT, START]).refusal();
    assert_eq!((refusal.rule, refusal.rule.id()), (Rule::Start, "PO-18"));
    // Under a goal the noise covers whatever the parameters are.
    assert_eq!(Case::new(&[], &[START]).decide(), Decision::Accept);
    let both = [("", "[privacy]\nrequired = false\nexact_start = true\n")];
    assert_eq!(Case::new(&both, &[EXACT, START]).decide(), Decision::Accept);
    // It opens nothing else.
    let alone = [("", "[privacy]\nexact_start = true\n")];
    assert_eq!(Case::new(&alone, &[EXACT]).refusal().rule, Rule::Goal);
    let said = explain(plan(&[START], 5).job(), &plan(&[START], 5));
    assert!(
        said.contains("parameters that the submitter chose (m)"),
        "{said}"
    );
}

#[test]
fn a_small_table_is_answered_like_a_closed_one() {
    let mut small = Case::new(&[], &[]);
    small.rows = Some(99);
    let small = small.refusal();
    assert_eq!(small.rule, Rule::Rows);
    assert!(small.words.contains("99 rows"), "the owner is told");
    let closed = Case::new(&[("tables.patients", "tables.others")], &[]).refusal();
    let mut absent = Case::new(&[], &[]);
    absent.rows = None;
    assert_eq!(small.outward(), closed.outward());
    assert_eq!(small.outward(), absent.refusal().outward());
    let mut enough = Case::new(&[], &[]);
    enough.rows = Some(100);
    assert_eq!(enough.decide(), Decision::Accept);
}

#[test]
fn every_list_of_submitters_must_hold_the_submitter() {
    let lists = "members = [\"anna\"]\nserials = [\"1fA0\"]\nroles = [\"scientist\"]";
    let mut case = Case::new(&[("roles = [\"scientist\"]", lists)], &[]);
    assert_eq!(case.decide(), Decision::Accept);
    let others = [
        ("bob", "1fa0", Role::Scientist),
        ("anna", "1fa1", Role::Scientist),
        ("anna", "1fa0", Role::Operator),
    ];
    for (name, serial, role) in others {
        case.submitter = Submitter {
            name: name.to_owned(),
            serial: serial.to_owned(),
            roles: vec![role],
        };
        assert_eq!(case.refusal().rule, Rule::Submitter);
    }
}

#[test]
fn an_approval_is_bound_to_the_job_and_overrides_nothing() {
    let mut case = Case::new(&[("\"never\"", "\"always\"")], &[]);
    assert!(matches!(case.decide(), Decision::NeedsApproval(_)));
    let ask = |case: &Case, approved: &Figures| {
        case.policy.decide(&Request {
            figures: &case.figures,
            submitter: &case.submitter,
            rows: case.rows,
            now: case.now,
            begun: false,
            granted: &case.granted,
            approved: Some(approved.digest()),
        })
    };
    assert_eq!(ask(&case, &case.figures), Decision::Accept);
    let other_job = Figures::of(&plan(&[("rounds = 20", "rounds = 21")], 5));
    assert!(matches!(ask(&case, &other_job), Decision::NeedsApproval(_)));
    case.rows = Some(1);
    assert!(matches!(ask(&case, &case.figures), Decision::Refuse(_)));
}

#[test]
fn approval_can_depend_on_the_goal() {
    let exact = [("[privacy]\nepsilon = 2.0", "")];
    let open = [
        ("\"never\"", "\"without_goal\"\nabove_epsilon = 1.5"),
        ("", "[privacy]\nrequired = false\n"),
    ];
    assert!(matches!(
        Case::new(&open, &exact).decide(),
        Decision::NeedsApproval(_)
    ));
    assert!(matches!(
        Case::new(&open, &[]).decide(),
        Decision::NeedsApproval(_)
    ));
    let small = [("epsilon = 2.0", "epsilon = 1.5")];
    assert_eq!(Case::new(&open, &small).decide(), Decision::Accept);
}

#[test]
fn a_period_adds_up_what_was_accepted_on_the_table() {
    let day = 86_400;
    let grant = |days_ago: i64, table: &str| Granted {
        at: Moment::from_unix(NOON.unix().checked_add_signed(-days_ago * day).unwrap()),
        table: table.to_owned(),
        epsilon: Epsilon::new(4.0).unwrap(),
        delta: Delta::new(1e-6).unwrap(),
    };
    let mut case = Case::new(&[], &[]);
    case.granted = vec![grant(1, "patients"), grant(364, "patients")];
    // 2 + 4 + 4 is 10 up to rounding, which goes up.
    assert_eq!(case.refusal().rule, Rule::Period);
    case.granted = vec![grant(1, "patients"), grant(365, "patients")];
    assert_eq!(case.decide(), Decision::Accept);
    case.granted = vec![grant(1, "patients"), grant(1, "visits")];
    assert_eq!(case.decide(), Decision::Accept);
    // A clock that was set back does not forget.
    case.granted = vec![grant(1, "patients"), grant(-500, "patients")];
    assert_eq!(case.refusal().rule, Rule::Period);
}

#[test]
fn a_night_belongs_to_the_day_it_began_on() {
    let night = "[hours]\ndays = [\"sat\"]\nfrom = \"20:00\"\nto = \"06:00\"\n";
    let mut case = Case::new(&[("", night)], &[]);
    let cases = [
        (12, false),
        (19, false),
        (20, true),
        (29, true),
        (30, false),
    ];
    for (hour, open) in cases {
        case.now = Moment::from_unix(NOON.unix() + hour * 3600 - 12 * 3600);
        assert_eq!(case.decide() == Decision::Accept, open, "{hour}");
    }
    case.now = Moment::from_unix(NOON.unix() - 9 * 3600);
    assert_eq!(case.refusal().rule, Rule::Hours, "the night of Friday");
}

#[test]
fn sizes_and_attempts_are_looked_at_when_they_are_known() {
    let policy = policy(&[("", "[attempts]\nper_round = 2\n")]);
    policy.admit_attempt(2).unwrap();
    assert_eq!(policy.admit_attempt(3).unwrap_err().rule, Rule::Attempts);
    policy.admit_model(1_000_000).unwrap();
    assert_eq!(policy.admit_model(1_000_001).unwrap_err().rule, Rule::Size);
    assert_eq!(Policy::denied().rule, Rule::Approval);
}

/// PO-13: of an embedded column that is still to be found, the look before the job counts the vector of "other" alone.
#[test]
fn the_size_of_a_table_counts_as_soon_as_it_is_known() {
    let limit: Change = &[("", "[model]\nparameters = 28\n")];
    let mlp = (
        "kind = \"logistic\"",
        "kind = \"mlp\"\nhidden = [4]\nembeddings = { sex = 3 }",
    );
    let found = Case::new(limit, &[mlp]);
    assert_eq!(found.decide(), Decision::Accept);
    let declared = (
        "[prepare]\n",
        "[prepare]\nvalues = { sex = [\"f\", \"m\"] }\n",
    );
    assert_eq!(
        Case::new(limit, &[mlp, declared]).refusal().rule,
        Rule::Size
    );
    let wider: Change = &[("", "[model]\nparameters = 34\n")];
    assert_eq!(
        Case::new(wider, &[mlp, declared]).decide(),
        Decision::Accept
    );
}

#[test]
fn bad_policies_say_what_to_write() {
    let cases = [
        ("", "policy.toml:1: the table [submit] is missing"),
        ("[submit]", "[submit] opens the party to nobody"),
        (
            "[submit]\nroles = [\"scientists\"]",
            "the nearest is \"scientist\"",
        ),
        (
            "[submit]\nrole = [\"scientist\"]",
            "the nearest valid key is \"roles\"",
        ),
        (
            "[submit]\nserials = [\"xyz\"]",
            "policy.toml:2: submit.serials: \"xyz\" is no serial number",
        ),
        (
            "[submit]\nroles = [\"scientist\"]\n[tables.a]\nmin_row = 3",
            "policy.toml:4: unknown key \"min_row\" in tables.a; the nearest valid key is \"min_rows\"",
        ),
        (
            "[submit]\nroles = [\"scientist\"]\n[tables.a]\nmin_rows = 0",
            "tables.a.min_rows = 0 is out of range",
        ),
        (
            "[submit]\nroles = [\"scientist\"]\n[tables]\na = 3",
            "tables.a: expected a table",
        ),
        (
            "[submit]\nroles = [\"scientist\"]\n[tables.\"a.b\"]\nmin_rows = 3",
            "\"a.b\" is no name",
        ),
        (
            "[submit]\nroles = [\"scientist\"]\n[tables.a]\ncolumns = [\"x\"]\nclosed_columns = [\"x\"]",
            "opens \"x\", which",
        ),
        (
            "[submit]\nroles = [\"scientist\"]\n[hours]\nfrom = \"25:00\"",
            "hours.from = \"25:00\" is no time of day",
        ),
        (
            "[submit]\nroles = [\"scientist\"]\n[privacy]\nrequired = \"yes\"",
            "expected true or false",
        ),
        (
            "[submit]\nroles = [\"scientist\"]\n[privacy]\ndelta = 1.0",
            "privacy.delta = 1 is out of range",
        ),
    ];
    for (text, expected) in cases {
        let error = Policy::parse("policy.toml", text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn the_reference_is_the_table_of_fields_and_its_example_is_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.md");
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        text,
        reference_markdown(),
        "write it anew, as docs/policy.md says"
    );
    let example = text.split("```toml\n").nth(1).unwrap();
    Policy::parse("example", example.split("```").next().unwrap()).unwrap();
    for field in FIELDS {
        assert!(field.doc.ends_with('.'), "{}", field.path);
    }
}

#[test]
fn explanations_name_columns_noise_and_goal() {
    let private = plan(&[], 5);
    let text = explain(private.job(), &private);
    for expected in [
        "predicts the column \"disease\", 5 parties, at most 20 rounds",
        "  age: numbers, cut to 0 to 110",
        "  sex: categories; their names stay here",
        "  disease (predicted): one of 2 classes that the job lists",
        "together with one other party",
        "  training, up to 20 times: the gradients of a random 20.000 % of your rows, each cut to norm 4",
        "  evaluation, 3 times",
        "(epsilon 2, delta 1e-5) differentially private",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(!text.contains("exact"), "{text}");
    let exact = plan(&[("[privacy]\nepsilon = 2.0", "")], 5);
    let text = explain(exact.job(), &exact);
    assert!(text.contains("No privacy goal"), "{text}");
    assert_eq!(
        text.matches("no noise: the sum is exact").count(),
        5,
        "{text}"
    );
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "\\PC{0,200}") {
        let _ = Policy::parse("policy.toml", &text);
    }

    #[test]
    fn no_broken_policy_breaks_the_parser(at in 0..POLICY.len(), with in "\\PC{0,8}", cut in 0..40_usize) {
        let end = (at + cut).min(POLICY.len());
        let text = format!("{}{with}{}", &POLICY[..at], &POLICY[end..]);
        let _ = Policy::parse("policy.toml", &text);
    }

    /// A smaller goal, more rows and fewer earlier jobs never turn an accepted job into a refused one.
    #[test]
    fn what_asks_for_less_is_not_refused(
        epsilons in proptest::collection::vec(0.01..4.0_f64, 0..6),
        rows in 0..300_u64,
        more in 0..300_u64,
        keep in 0..6_usize,
    ) {
        let grant = |epsilon: &f64| Granted {
            at: NOON,
            table: "patients".to_owned(),
            epsilon: Epsilon::new(*epsilon).unwrap(),
            delta: Delta::new(1e-6).unwrap(),
        };
        let mut case = Case::new(&[], &[]);
        case.rows = Some(rows);
        case.granted = epsilons.iter().map(grant).collect();
        let total: f64 = 2.0 + epsilons.iter().sum::<f64>();
        let before = case.decide();
        if total > 10.0 || rows < 100 {
            prop_assert!(before != Decision::Accept);
        }
        case.rows = Some(rows + more);
        case.granted.truncate(keep);
        if before == Decision::Accept {
            prop_assert_eq!(case.decide(), Decision::Accept);
        }
    }
}
