//! What a reader of a wrong job file is told: exact texts.

use lepton_protocol::job::{Job, Override};

const GOOD: &str = r#"[job]
name = "heart"

[data]
table = "heart.csv"
label = "disease"
classes = ["healthy", "sick"]
positive = "sick"
test_fraction = 0.25
split = { by = "column", column = "hospital" }

[prepare]

[model]
kind = "logistic"

[training]
rounds = 50

[evaluation]
metrics = ["accuracy", "auc"]
"#;

/// A part of the good job, what stands in its place, overrides (with `|` between them), and the messages.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

#[test]
fn the_good_job_is_good() {
    Job::parse("job.toml", GOOD, &[]).unwrap();
}

#[test]
fn every_problem_has_its_text() {
    let mut wrong = String::new();
    for (index, (part, replacement, sets, expected)) in CASES.iter().enumerate() {
        assert!(GOOD.contains(part), "case {index} changes nothing");
        let text = GOOD.replacen(part, replacement, 1);
        let overrides: Vec<Override> = sets
            .split('|')
            .filter(|set| !set.is_empty())
            .map(|set| Override::parse(set).unwrap())
            .collect();
        let found = Job::parse("job.toml", &text, &overrides)
            .map_or_else(|errors| errors.to_string(), |_| "valid".to_owned());
        if found != expected.join("\n") {
            wrong += &format!("@@{index}\n{found}\n");
        }
    }
    assert!(wrong.is_empty(), "these cases say something else:\n{wrong}");
}

#[test]
fn overrides_say_what_they_need() {
    let cases = [
        (
            "privacy.epsilon",
            "--set privacy.epsilon: there is no '='; write table.key=value, for example privacy.epsilon=1",
        ),
        (
            "privacy.epsilon=",
            "--set privacy.epsilon=: there is no value after '='; write table.key=value, or key=\"\" for an empty text",
        ),
        (
            "privacy..epsilon=1",
            "--set privacy..epsilon=1: \"privacy..epsilon\" is not a key; write table.key=value, and put a part with spaces or dots in double quotes",
        ),
        (
            "a b=1",
            "--set a b=1: \"a b\" is not a key; write table.key=value, and put a part with spaces or dots in double quotes",
        ),
        (
            "data.features=[\"age\"",
            "--set data.features=[\"age\": the value is not valid TOML (unclosed array, expected `]`); check quotes, brackets and commas, and that the shell kept them",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(Override::parse(text).unwrap_err().to_string(), expected);
    }
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("label = \"disease\"", "lable = \"disease\"", "", &[
        "job.toml:6: unknown key \"lable\" in [data]; the nearest valid key is \"label\"",
    ]),
    ("[model]", "[modle]", "", &[
        "job.toml:14: unknown table [modle]; the nearest valid table is [model]",
    ]),
    ("[job]\nname = \"heart\"", "", "", &[
        "job.toml:1: the table [job] is missing; add [job] with name",
    ]),
    ("name = \"heart\"", "name = \"Heart 2025\"", "", &[
        "job.toml:2: job.name = \"Heart 2025\" is not a valid name; begin with a lower-case letter and go on with up to 62 lower-case letters, digits, _ or -; for example \"heart-2025\"",
    ]),
    ("name = \"heart\"", "task = \"query\"", "", &[
        "job.toml:1: [job] has no name; add name = \"...\"",
        "job.toml:2: job.task = \"query\" is not in this version; write \"train\"",
    ]),
    ("rounds = 50", "rounds = fifty", "", &[
        "job.toml:18: not valid TOML: fifty is no number and has no quotes; write \"fifty\" if it is a text",
    ]),
    ("rounds = 50", "rounds = \"50\"", "", &[
        "job.toml:18: training.rounds: expected a whole number from 1 to 10000, found the text \"50\"; write 50 without quotes",
    ]),
    ("rounds = 50", "colour = 3", "", &[
        "job.toml:18: unknown key \"colour\" in [training]; write \"rounds\", \"local_epochs\", \"local_steps\", \"batch\", \"sampling_rate\", \"optimiser\", \"learning_rate\", \"momentum\", \"server_optimiser\", \"server_learning_rate\", \"proximal\", \"class_weights\", \"combine\", \"groups\", \"trim\", \"clip_update\", \"late_join\", \"checkpoint_every\", \"checkpoints\" or \"topology\"",
    ]),
    ("table = \"heart.csv\"", "table = heart.csv # the data", "", &[
        "job.toml:5: not valid TOML: heart.csv is no number and has no quotes; write \"heart.csv\" if it is a text",
    ]),
    ("[prepare]", "[weather]", "", &[
        "job.toml:12: unknown table [weather]; write [job], [data], [prepare], [model], [training], [evaluation], [protection], [privacy]",
    ]),
    ("", "", "data.split.by=even", &[
        "job.toml:10: data.split.column contradicts split by = \"even\" (--set data.split.by); remove column, or write by = \"column\"",
    ]),
    ("[prepare]", "[prepare]\ncategories = \"declared\"\nslots = 512\n[prepare.values]\nsex = [\"f\", \"f\"]\nstage = []\ncity = \"Bern\"", "", &[
        "job.toml:16: prepare.values.sex names \"f\" twice; keep one of the two",
        "job.toml:17: prepare.values.stage has 0 of at least 1 values; add the missing ones, or remove the key",
        "job.toml:18: prepare.values.city: expected a list of texts, found the text \"Bern\"; write the values in brackets, each in double quotes",
    ]),
    ("rounds = 50", "rounds = 50.0", "", &[
        "job.toml:18: training.rounds: expected a whole number from 1 to 10000, found the number 50.0; write training.rounds = 50",
    ]),
    ("rounds = 50", "rounds = 0", "", &[
        "job.toml:18: training.rounds = 0 is out of range; write a whole number from 1 to 10000; the nearest is 1",
    ]),
    ("rounds = 50", "epsilon = 3.0", "", &[
        "job.toml:18: unknown key \"epsilon\" in [training]; it belongs in [privacy]",
    ]),
    ("rounds = 50", "rounds = 50\nlocal_epochs = 1\nlocal_steps = 5", "", &[
        "job.toml:20: training.local_steps contradicts training.local_epochs (line 19); keep one of the two",
    ]),
    ("rounds = 50", "rounds = 50\noptimiser = \"adam\"\nmomentum = 0.5", "", &[
        "job.toml:20: training.momentum contradicts training.optimiser = \"adam\" (line 19), which has its own; remove it, or write optimiser = \"sgd\"",
    ]),
    ("rounds = 50", "rounds = 50\noptimizer = \"sgdm\"", "", &[
        "job.toml:19: unknown key \"optimizer\" in [training]; the nearest valid key is \"optimiser\"",
    ]),
    ("rounds = 50", "rounds = 50\nmomentum = 1.0\nlearning_rate = 0\nsampling_rate = 1.5", "", &[
        "job.toml:19: training.momentum = 1 is out of range; write a number of at least 0 and less than 1",
        "job.toml:20: training.learning_rate = 0 is out of range; write a number greater than 0",
        "job.toml:21: training.sampling_rate = 1.5 is out of range; write a number greater than 0 and at most 1; the nearest is 1",
    ]),
    ("rounds = 50", "rounds = 50\ntopology = \"mesh\"\noptimiser = \"rmsprop\"", "", &[
        "job.toml:19: training.topology = \"mesh\" is not in this version; write \"star\"",
        "job.toml:20: training.optimiser = \"rmsprop\" is not a choice; write \"sgd\" or \"adam\"",
    ]),
    ("rounds = 50", "rounds = 50\ncombine = \"krum\"", "", &[
        "job.toml:19: training.combine = \"krum\" is not a choice; write \"mean\", \"trimmed_mean\" or \"median\"",
    ]),
    ("rounds = 50", "rounds = 50\ngroups = 4\ntrim = 1", "", &[
        "job.toml:19: training.groups contradicts training.combine = \"mean\" (the default), which has no groups; remove it, or write combine = \"trimmed_mean\" or combine = \"median\"",
        "job.toml:20: training.trim contradicts training.combine = \"mean\" (the default), which trims nothing; remove it, or write combine = \"trimmed_mean\"",
    ]),
    ("rounds = 50", "rounds = 50\ncombine = \"median\"\ntrim = 1", "", &[
        "job.toml:19: combine = \"median\" has no groups; add groups = 3, or more where there are many parties",
        "job.toml:20: training.trim contradicts training.combine = \"median\" (line 19), which trims nothing; remove it, or write combine = \"trimmed_mean\"",
    ]),
    ("rounds = 50", "rounds = 50\ncombine = \"trimmed_mean\"\ngroups = 6\ntrim = 3", "", &[
        "job.toml:21: training.trim contradicts training.groups = 6 (line 20): nothing would be left; write trim = 2 or less",
    ]),
    ("rounds = 50", "rounds = 50\ncombine = \"trimmed_mean\"\ngroups = 2\nclip_update = 0", "", &[
        "job.toml:20: training.groups = 2 is out of range; write a whole number from 3 to 1000; the nearest is 3",
        "job.toml:21: training.clip_update = 0 is out of range; write a number greater than 0",
    ]),
    ("rounds = 50", "rounds = 50\ncheckpoints = 3", "", &[
        "job.toml:19: training.checkpoints contradicts a job that keeps no checkpoints; add checkpoint_every = 10, or remove it",
    ]),
    ("kind = \"logistic\"", "kind = \"logitsic\"", "", &[
        "job.toml:15: model.kind = \"logitsic\" is not a choice; write \"linear\", \"logistic\", \"mlp\", \"cnn\" or \"custom\"; the nearest is \"logistic\"",
    ]),
    ("kind = \"logistic\"", "kind = \"boosted\"", "", &[
        "job.toml:15: model.kind = \"boosted\" is not in this version; write \"linear\", \"logistic\", \"mlp\", \"cnn\" or \"custom\"",
    ]),
    ("kind = \"logistic\"", "kind = \"cnn\"", "", &[
        "job.toml:15: model.kind = \"cnn\" needs images, and data.kind is \"table\"; write kind = \"image\" and shape = [height, width, channels] in [data], or kind = \"mlp\" here",
    ]),
    ("rounds = 50", "rounds = \"auto\"", "privacy.epsilon=3", &[
        "job.toml:18: training.rounds = \"auto\" has no population to choose by; add population = 5000, or another public number of records, to [privacy]; or write a number here",
    ]),
    ("", "", "privacy.population=100|privacy.optimiser=sgd|privacy.learning_rate=auto", &[
        "--set privacy.learning_rate: privacy.learning_rate = \"auto\" has no rule for optimiser = \"sgd\"; write a number, or privacy.optimiser = \"adam\"",
    ]),
    ("", "", "data.kind=image", &[
        "--set data.kind: data.kind = \"image\" has no shape; write shape = [height, width, channels], for example shape = [28, 28, 1] in [data]",
    ]),
    ("", "", "data.kind=image|data.shape=[28,28]|prepare.missing=indicator", &[
        "--set data.shape: data.shape has 2 numbers in place of three; write shape = [height, width, channels], for example shape = [28, 28, 1]",
        "--set prepare.missing: prepare.missing contradicts data.kind = \"image\" (--set data.kind); write missing = \"mean\" or missing = \"drop\"",
    ]),
    ("", "", "data.shape=[28,28,1]|model.kernel=5", &[
        "--set data.shape: data.shape contradicts data.kind = \"table\" (the default); remove it, or write kind = \"image\"",
        "--set model.kernel: model.kernel contradicts model.kind = \"logistic\" (line 15), which has no convolutions; remove it, or write kind = \"cnn\"",
    ]),
    ("kind = \"logistic\"", "kind = \"logistic\"\nhidden = [16]", "", &[
        "job.toml:16: model.hidden contradicts model.kind = \"logistic\" (line 15), which has no layers; remove it, or write kind = \"mlp\"",
    ]),
    ("kind = \"logistic\"", "kind = \"mlp\"\nhidden = [16, 0, 5000]\nactivation = \"sigmoid\"", "", &[
        "job.toml:16: model.hidden = 0 is out of range; write a whole number from 1 to 4096; the nearest is 1",
        "job.toml:16: model.hidden = 5000 is out of range; write a whole number from 1 to 4096; the nearest is 4096",
        "job.toml:17: model.activation = \"sigmoid\" is not a choice; write \"relu\" or \"tanh\"",
    ]),
    ("kind = \"logistic\"", "kind = \"logistic\"\nembeddings = { stage = 4 }", "", &[
        "job.toml:16: model.embeddings contradicts model.kind = \"logistic\" (line 15), which embeds nothing; remove it, or write kind = \"mlp\"",
    ]),
    ("kind = \"logistic\"", "kind = \"mlp\"\nembeddings = { stage = 0, ward = \"8\", site = 2000 }", "", &[
        "job.toml:16: model.embeddings.stage = 0 is out of range; write a whole number from 1 to 1024; the nearest is 1",
        "job.toml:16: model.embeddings.ward: expected a whole number, found the text \"8\"; write a whole number from 1 to 1024",
        "job.toml:16: model.embeddings.site = 2000 is out of range; write a whole number from 1 to 1024; the nearest is 1024",
    ]),
    ("kind = \"logistic\"", "kind = \"mlp\"\nembeddings = 8", "", &[
        "job.toml:16: model.embeddings: expected a table of column = whole number from 1 to 1024, found the number 8; write a table of column = whole number from 1 to 1024",
    ]),
    ("kind = \"logistic\"", "kind = \"mlp\"\n[model.embeddings]\ndisease = 4\nage = 2\nid = 3\nward = 4", "prepare.categories=drop|data.types.age=number|data.exclude=[\"id\"]|data.features=[\"ward\", \"age\"]", &[
        "job.toml:16: model.embeddings contradicts prepare.categories = \"drop\" (--set prepare.categories), which leaves category columns out; remove one of the two",
        "job.toml:17: model.embeddings lists column \"disease\", which is the label (line 6); only columns to predict from are embedded: remove it here",
        "job.toml:18: model.embeddings lists column \"age\", called a number at --set data.types.age; only a category is embedded: remove it here, or change data.types",
        "job.toml:19: model.embeddings lists column \"id\", which is excluded (--set data.exclude); only columns to predict from are embedded: remove it here",
    ]),
    ("kind = \"logistic\"", "kind = \"mlp\"\nhidden = 16", "", &[
        "job.toml:16: model.hidden: expected a list of 1 to 8 whole numbers from 1 to 4096, found the number 16; write [16]",
    ]),
    ("kind = \"logistic\"", "kind = \"linear\"", "", &[
        "job.toml:7: data.classes contradicts model.kind = \"linear\" (line 15), which predicts a number; remove it, or write kind = \"logistic\"",
        "job.toml:8: data.positive contradicts model.kind = \"linear\" (line 15), which predicts a number; remove it, or write kind = \"logistic\"",
        "job.toml:21: metric \"accuracy\" does not fit a model that predicts a number (model.kind, line 15); write \"loss\", \"rmse\", \"mae\" or \"r2\"",
        "job.toml:21: metric \"auc\" does not fit a model that predicts a number (model.kind, line 15); write \"loss\", \"rmse\", \"mae\" or \"r2\"",
    ]),
    ("test_fraction = 0.25", "types = { disease = \"number\" }", "", &[
        "job.toml:9: label \"disease\" called a number contradicts model.kind = \"logistic\" (line 15), which predicts classes; remove it, or write kind = \"linear\"",
    ]),
    ("table = \"heart.csv\"", "", "", &[
        "job.toml:4: [data] has neither table nor tables; add table = \"rows.csv\", or tables with one path per party",
    ]),
    ("table = \"heart.csv\"", "table = \"heart.csv\"\ntables = [\"a.csv\", \"b.csv\"]", "", &[
        "job.toml:6: data.tables contradicts data.table (line 5); keep one: table for one table that is split, tables for one per party",
        "job.toml:11: data.split contradicts data.tables (line 6); remove split: every table of tables is a party already",
    ]),
    ("table = \"heart.csv\"", "tables = [\"a.csv\"]", "", &[
        "job.toml:5: data.tables has 1 of at least 2 values; add the missing ones, or remove the key",
        "job.toml:10: data.split contradicts data.tables (line 5); remove split: every table of tables is a party already",
    ]),
    ("by = \"column\", column = \"hospital\"", "by = \"dirichlet\", column = \"hospital\"", "", &[
        "job.toml:10: data.split.column contradicts split by = \"dirichlet\" (line 10); remove column, or write by = \"column\"",
        "job.toml:10: data.split by = \"dirichlet\" has no alpha; add alpha, for example alpha = 0.5",
    ]),
    ("by = \"column\", column = \"hospital\"", "by = \"hospital\"", "", &[
        "job.toml:10: data.split.by = \"hospital\" is not a choice; write \"column\", \"even\", \"hash\" or \"dirichlet\"",
    ]),
    ("by = \"column\", column = \"hospital\"", "by = \"even\", parties = 2 }\ntypes = { age = \"numeric\", \"blood type\" = 1", "", &[
        "job.toml:11: data.types.age = \"numeric\" is not a choice; write \"number\" or \"category\"; the nearest is \"number\"",
        "job.toml:11: data.types.\"blood type\": expected a word in quotes, found the number 1; write \"number\" or \"category\"",
    ]),
    ("label = \"disease\"", "label = \"disease\"\nfeatures = [\"age\", \"sex\", \"age\"]\nexclude = \"sex\"", "", &[
        "job.toml:7: data.features names \"age\" twice; keep one of the two",
        "job.toml:8: data.exclude: expected a list of texts, found the text \"sex\"; write [\"sex\"]",
    ]),
    ("label = \"disease\"", "label = \"disease\"\nfeatures = [\"age\", \"disease\"]\nexclude = [\"age\"]", "", &[
        "job.toml:7: column \"disease\" is a feature here and the label at line 6; remove it here, or choose another label",
        "job.toml:8: column \"age\" is excluded here and a feature at line 7; remove it from one of the two",
    ]),
    ("positive = \"sick\"", "positive = \"ill\"", "", &[
        "job.toml:8: data.positive = \"ill\" is not among data.classes (line 7); the nearest class is \"sick\"",
    ]),
    ("classes = [\"healthy\", \"sick\"]", "classes = [\"sick\"]", "", &[
        "job.toml:7: data.classes has 1 of at least 2 values; add the missing ones, or remove the key",
    ]),
    ("test_fraction = 0.25", "test_fraction = 0.9", "", &[
        "job.toml:9: data.test_fraction = 0.9 is out of range; write a number of at least 0.05 and at most 0.5; the nearest is 0.5",
    ]),
    ("[prepare]", "[prepare]\nslots = 300\nmissing = \"median\"\nbounds = { age = [110, 0], bmi = [1, 1], pulse = [40], weight = [0, inf] }", "", &[
        "job.toml:13: prepare.slots = 300 is not a power of two from 256 to 65536; the nearest is 256",
        "job.toml:14: prepare.missing = \"median\" is not a choice; write \"mean\", \"indicator\", \"drop\" or \"refuse\"; the nearest is \"mean\"",
        "job.toml:15: prepare.bounds.age = [110, 0] is the wrong way round; write [0, 110]",
        "job.toml:15: prepare.bounds.bmi = [1, 1] has no width; write the low end, then a higher one",
        "job.toml:15: prepare.bounds.pulse: expected [low, high], found a list; write two numbers in brackets, the low one first",
        "job.toml:15: prepare.bounds.weight = [0, inf] has no end; write two finite numbers",
    ]),
    ("[prepare]", "[prepare]\nbounds = { hospital = [0, 1] }\n\n[data.types]\nhospital = \"category\"", "", &[
        "job.toml:13: prepare.bounds lists column \"hospital\", called a category at line 16; only a number has bounds: remove it here, or change data.types",
    ]),
    ("[prepare]", "[prepare]\nmin_parties = 4\nvalues = { disease = [\"yes\", \"no\"] }", "data.split={by=\"even\"}", &[
        "job.toml:13: prepare.min_parties contradicts the 3 parties of data.split (--set data.split); write at most 3",
        "job.toml:14: prepare.values lists the label \"disease\" (line 6); list its classes in data.classes instead",
    ]),
    ("metrics = [\"accuracy\", \"auc\"]", "metrics = [\"accuracy\", \"rmse\", \"f1\"]", "", &[
        "job.toml:21: evaluation.metrics = \"f1\" is not a choice; write \"accuracy\", \"balanced_accuracy\", \"auc\", \"loss\", \"confusion\", \"calibration\", \"rmse\", \"mae\" or \"r2\"",
    ]),
    ("metrics = [\"accuracy\", \"auc\"]", "metrics = [\"accuracy\", \"rmse\"]", "", &[
        "job.toml:21: metric \"rmse\" does not fit a model that predicts classes (model.kind, line 15); write \"accuracy\", \"balanced_accuracy\", \"auc\", \"loss\", \"confusion\" or \"calibration\"",
    ]),
    ("metrics = [\"accuracy\", \"auc\"]", "metrics = [\"accuracy\", \"confusion\"]\nearly_stop = { metric = \"loss\" }", "", &[
        "job.toml:22: early_stop metric \"loss\" is not among evaluation.metrics (line 21); add it there, or write \"accuracy\"",
    ]),
    ("metrics = [\"accuracy\", \"auc\"]", "metrics = [\"accuracy\", \"confusion\"]\nearly_stop = { metric = \"confusion\", patience = 0 }", "", &[
        "job.toml:22: evaluation.early_stop.patience = 0 is out of range; write a whole number from 1 to 10000; the nearest is 1",
        "job.toml:22: early_stop metric \"confusion\" is not one number; write \"accuracy\"",
    ]),
    ("metrics = [\"accuracy\", \"auc\"]", "metrics = [\"accuracy\"]\nearly_stop = { patience = 2 }", "", &[
        "job.toml:22: evaluation.early_stop has no metric; add metric = ...: \"accuracy\", \"balanced_accuracy\", \"auc\", \"loss\", \"confusion\", \"calibration\", \"rmse\", \"mae\" or \"r2\"",
    ]),
    ("[evaluation]", "[protection]\naggregation = \"homomorphic\"\ncolluders = 2\nthreshold = 2\n\n[evaluation]", "", &[
        "job.toml:21: protection.aggregation = \"homomorphic\" is not in this version; write \"masked\"",
        "job.toml:23: protection.threshold contradicts protection.colluders = 2 (line 22): they could open a mask; write a threshold of at least 3",
    ]),
    ("[evaluation]", "[privacy]\ndelta = 1e-6\n\n[evaluation]", "", &[
        "job.toml:17: training.sampling_rate is missing, which [privacy] (line 20) needs; add sampling_rate = 0.2 to [training], or another number greater than 0 and at most 1, or let the rule choose from privacy.population",
        "job.toml:20: [privacy] has no epsilon; add epsilon = 3.0, or a smaller number for more privacy",
    ]),
    ("[evaluation]", "[privacy]\nepsilon = -1\ndelta = 1\nclip = \"adaptive\"\nunit = \"person\"\n\n[evaluation]", "", &[
        "job.toml:17: training.sampling_rate is missing, which [privacy] (line 20) needs; add sampling_rate = 0.2 to [training], or another number greater than 0 and at most 1, or let the rule choose from privacy.population",
        "job.toml:21: privacy.epsilon = -1 is out of range; write a number greater than 0",
        "job.toml:22: privacy.delta = 1 is out of range; write a number greater than 0 and less than 1",
        "job.toml:24: unit = \"person\" needs to know whose row is whose; name the column of ids as person = \"…\" under [data]",
    ]),
    ("[evaluation]", "[evaluation", "", &[
        "job.toml:20: not valid TOML: unclosed table, expected `]`; a line is [table], key = value, or a # comment",
    ]),
    ("rounds = 50", "rounds = 50\nrounds = 60", "", &[
        "job.toml:19: not valid TOML: duplicate key; keep one of the two",
    ]),
    ("rounds = 50", "rounds = 2025-01-01", "", &[
        "job.toml:18: training.rounds: expected a whole number from 1 to 10000, found a date or time; write a whole number from 1 to 10000",
    ]),
    ("", "", "privacy.epsilonn=1", &[
        "--set privacy.epsilonn: unknown key \"epsilonn\" in [privacy]; the nearest valid key is \"epsilon\"",
    ]),
    ("", "", "privacy.epsilon=one", &[
        "--set privacy.epsilon: privacy.epsilon: expected a number greater than 0, found the text \"one\"; write a number greater than 0",
    ]),
    ("", "", "training=5", &[
        "--set training: training: expected a table, found the number 5; write [training] and its keys on lines of their own",
    ]),
    ("", "", "training.momentum=0.5|training.optimiser=adam", &[
        "--set training.momentum: training.momentum contradicts training.optimiser = \"adam\" (--set training.optimiser), which has its own; remove it, or write optimiser = \"sgd\"",
    ]),
];
