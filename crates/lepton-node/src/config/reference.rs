//! The reference of the configuration, written from the tables of fields.

use lepton_protocol::job::tables_markdown;

use super::fields::{coordinator_fields, federation_fields, party_fields};

const HEAD: &str = "\
# Configuration of the programs

One TOML file for each program: `lepton party`, `lepton coordinator`, and one with which a scientist, an operator or an auditor reaches a federation. Unknown keys are errors, and every problem is reported at once. Paths are taken from the folder of the file. Secrets are never written here: the file names
files, which nobody but the program's user may read, or environment variables.

This page is written from the tables of fields in `crates/lepton-node/src/config/fields.rs`; a test compares the two.
";

const PARTY: &str = "
# The party's file

```toml
[identity]
folder = \"identity\"

[coordinator]
address = \"coordinator.example.org:8443\"

[tables.patients]
path = \"/srv/tables/patients.csv\"
types = { postcode = \"category\" }

[policy]
file = \"policy.toml\"

[store]
url = \"sqlite:lepton.db\"
```
";

const COORDINATOR: &str = "
# The coordinator's file

```toml
[identity]
folder = \"identity\"

[listen]
address = \"0.0.0.0:8443\"

[store]
url = \"postgres://lepton@db.example.org:5432/lepton\"
password_env = \"LEPTON_STORE_PASSWORD\"
```
";

const FEDERATION: &str = "
# The file of a scientist, an operator or an auditor

```toml
[identity]
folder = \"ada\"

[coordinator]
address = \"coordinator.example.org:8443\"
```
";

/// The text of `docs/configuration.md`.
#[must_use]
pub fn reference_markdown() -> String {
    [
        HEAD,
        PARTY,
        &tables_markdown(party_fields()),
        COORDINATOR,
        &tables_markdown(coordinator_fields()),
        FEDERATION,
        &tables_markdown(federation_fields()),
    ]
    .concat()
}
