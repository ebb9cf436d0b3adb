//! Schema files, and what is found in a table that is held against one.
#![cfg(test)]

use lepton_table::quality::{Finding, Quality, Severity};
use lepton_table::{ColumnType, ReadOptions, Role, Schema, Table};

fn schema(text: &str) -> Schema {
    Schema::parse("s.toml", text).unwrap()
}

fn quality(csv: &str, schema: &Schema, label: Option<&str>) -> Quality {
    let table = Table::from_csv_bytes("t.csv", csv.as_bytes(), &schema.read_options()).unwrap();
    Quality::of(&table, schema, label).unwrap()
}

/// Kind and column of every finding.
fn kinds(quality: &Quality) -> Vec<(&str, &str)> {
    let named = |finding: &Finding| finding.column.clone().unwrap_or_default();
    let kind = |finding| (Finding::clone(finding).kind, named(finding));
    let mut kinds: Vec<_> = quality.findings.iter().map(kind).collect();
    kinds.sort();
    kinds
        .into_iter()
        .map(|(kind, column)| (kind, &*column.leak()))
        .collect()
}

const PATIENTS: &str = r#"
[columns.id]
role = "identifier"
[columns.age]
bounds = [0, 110]
unit = "years"
[columns.sex]
values = ["f", "m"]
[columns.disease]
role = "label"
type = "category"
"#;

fn patients(rows: usize) -> String {
    let row = |at: usize| {
        let sick = if at.is_multiple_of(3) { "yes" } else { "no" };
        let sex = if at.is_multiple_of(2) { "f" } else { "m" };
        format!("{at:04},{},{sex},{sick}\n", 20 + at % 40)
    };
    let rows: String = (0..rows).map(row).collect();
    format!("id,age,sex,disease\n{rows}")
}

#[test]
fn a_table_that_fits_has_no_findings() {
    let schema = schema(PATIENTS);
    let found = quality(&patients(60), &schema, None);
    assert_eq!(found.findings, []);
    assert!(found.fits());
    assert_eq!((found.rows, found.duplicates), (60, 0));
    let age = &found.columns[1];
    assert_eq!((age.kind, age.unit.as_deref()), ("number", Some("years")));
    assert_eq!((age.distinct, age.range), (40, Some((20.0, 59.0))));
    // An identifier is a text with its leading zeros.
    assert_eq!(found.columns[0].kind, "category");
    assert_eq!(found.columns[0].role, Some(Role::Identifier));
}

#[test]
fn each_fault_is_found() {
    let base = patients(60);
    let schema = schema(PATIENTS);
    for (row, kind, column) in [
        ("9999,130,f,no\n", "out-of-bounds", "age"),
        ("9999,30,x,no\n", "unlisted", "sex"),
        ("0003,23,m,yes\n", "duplicates", ""),
        ("9999,30,f,\n", "missing", "disease"),
        ("9999,30,f,NO\n", "spelling", "disease"),
        ("9999,30,f,3\n", "mixed", "disease"),
    ] {
        let found = quality(&format!("{base}{row}"), &schema, None);
        assert!(
            kinds(&found).contains(&(kind, column)),
            "{kind}: {:?}",
            found.findings
        );
        assert_eq!(
            found.fits(),
            !["out-of-bounds", "unlisted"].contains(&kind),
            "{kind}"
        );
    }
}

#[test]
fn columns_are_held_against_the_schema_both_ways() {
    let schema = schema(&PATIENTS.replace("columns.age", "columns.agee"));
    let found = quality(&patients(60), &schema, None);
    assert_eq!(kinds(&found), [("absent", "agee"), ("undescribed", "age")]);
    assert!(!found.fits());
    assert_eq!(found.findings[0].severity, Severity::Error);
    assert!(found.findings[0].words.contains("did you mean \"age\"?"));
}

#[test]
fn identifiers_are_suspected_and_measured_numbers_are_not() {
    let mut csv = String::from("key,code,mail,level,user_id,blank,same,cls\n");
    for at in 0..40 {
        let class = if at == 0 { "rare" } else { "common" };
        csv += &format!("k{at},{at},a{at}@b.org,{at}.5,{},,x,{class}\n", at % 30);
    }
    let found = quality(&csv, &Schema::default(), Some("cls"));
    assert_eq!(
        kinds(&found),
        [
            ("constant", "same"),
            ("identifier", "code"),
            ("identifier", "key"),
            ("identifier", "mail"),
            ("identifier", "user_id"),
            ("imbalance", "cls"),
            ("missing", "blank"),
        ]
    );
    assert!(found.fits());
    let table = Table::from_csv_bytes("t.csv", csv.as_bytes(), &ReadOptions::default()).unwrap();
    let missing = Quality::of(&table, &Schema::default(), Some("class"));
    assert_eq!(missing.unwrap_err().kind(), "unknown-column");
}

/// No cell is quoted: what is shown to the owner may be shown over a shoulder.
#[test]
fn findings_quote_no_cell() {
    let secret = "Zanzibar";
    let csv = format!(
        "{}9999,30,{secret},{secret}\n9998,30,f,{}\n",
        patients(60),
        secret.to_uppercase()
    );
    let found = quality(&csv, &schema(PATIENTS), None);
    assert!(found.findings.len() >= 2);
    for finding in &found.findings {
        assert!(!finding.words.contains(secret), "{finding:?}");
    }
}

#[test]
fn schemas_with_mistakes_are_refused_with_their_place() {
    for (text, word) in [
        (
            "[columns.a]\nroll = \"label\"",
            "s.toml:2: unknown field `roll`",
        ),
        (
            "[columns.a]\nrole = \"key\"",
            "s.toml:2: unknown variant `key`",
        ),
        ("[columns.a]\ntype = \"text\"", "s.toml:2"),
        (
            "[columns.a]\nbounds = [3, 1]",
            "column \"a\": bounds are two finite numbers",
        ),
        (
            "[columns.a]\nbounds = [0, inf]",
            "bounds are two finite numbers",
        ),
        ("[columns.a]\nbounds = [0, 1]\nvalues = [\"x\"]", "keep one"),
        (
            "[columns.a]\ntype = \"category\"\nbounds = [0, 1]",
            "a category has no bounds",
        ),
        (
            "[columns.a]\ntype = \"number\"\nvalues = [\"x\"]",
            "a number has bounds",
        ),
        ("[columns.a]\nvalues = [\"x\", \"x\"]", "listed twice"),
        ("[columns.a]\nvalues = []", "empty"),
        ("[column.a]\n", "unknown field `column`"),
        ("[columns.a", "s.toml:1"),
    ] {
        let error = Schema::parse("s.toml", text).unwrap_err();
        assert_eq!(error.kind(), "bad-schema");
        assert!(error.to_string().contains(word), "{text}: {error}");
    }
}

#[test]
fn a_draft_is_a_schema_of_its_table() {
    let csv = b"age,\"blood type\",\"a.b\"\n1,A,x\n2,B,y\n";
    let table = Table::from_csv_bytes("t.csv", csv, &ReadOptions::default()).unwrap();
    let draft = Schema::draft(&table);
    let schema = schema(&draft);
    let stated = |name: &str| schema.column(name).unwrap().stated_type();
    assert_eq!(stated("age"), Some(ColumnType::Number));
    assert_eq!(stated("blood type"), Some(ColumnType::Category));
    assert_eq!(stated("a.b"), Some(ColumnType::Category));
    assert!(!draft.contains("\nbounds") && !draft.contains("\nvalues"));
    assert!(Quality::of(&table, &schema, None).unwrap().fits());
}
