//! Small files of settings, all valid.

pub(super) const JOB: &str = r#"
[job]
name = "heart"
[data]
table = "patients.csv"
label = "disease"
features = ["age", "sex"]
types = { age = "number", sex = "category", disease = "category" }
classes = ["no", "yes"]
[prepare]
bounds = { age = [0, 110] }
values = { sex = ["f", "m"] }
[model]
kind = "logistic"
[training]
rounds = 20
sampling_rate = 0.2
[privacy]
epsilon = 2.0
"#;

pub(super) const JOBS: [&str; 4] = [
    JOB,
    include_str!("../../../../examples/churn/job.toml"),
    include_str!("../../../../examples/digits/cnn.toml"),
    include_str!("../../../lepton-protocol/tests/job_full.toml"),
];

pub(super) const POLICY: &str = r#"
[submit]
roles = ["scientist"]
[tables.patients]
closed_columns = ["name"]
[approval]
person = "never"
"#;

pub(super) const PARTY: &str = r#"
[identity]
folder = "identity"
[coordinator]
address = "coordinator.example.org:8443"
[tables.patients]
path = "patients.csv"
types = { postcode = "category" }
"#;

pub(super) const COORDINATOR: &str = "[identity]\nfolder = \"identity\"\n";

pub(super) const FEDERATION: &str =
    "[identity]\nfolder = \"identity\"\n[coordinator]\naddress = \"c.example.org:8443\"\n";
