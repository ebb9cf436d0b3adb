//! Signing and verifying, and everything that must not verify.

use lepton_crypto::{IdentityKey, Seed};
use serde_json::{Value, json};

use super::canonical::canonical;
use super::sample::{keys, sample};
use super::*;

fn signed() -> Value {
    let keys = keys();
    let envelope = sign(sample(&keys), &keys.each_ref()).unwrap();
    serde_json::to_value(envelope).unwrap()
}

fn verifies(document: &Value) -> bool {
    let text = serde_json::to_string(document).unwrap();
    let verified = verify(&text, &Keys::default(), None).is_ok_and(|found| found.verified);
    assert_eq!(open(&text).is_ok(), verified, "both readers agree: {text}");
    verified
}

/// JSON pointers of everything in a document.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, inner)| places(inner, &format!("{at}/{name}"), all)),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .for_each(|(number, inner)| places(inner, &format!("{at}/{number}"), all)),
        _ => {}
    }
}

fn all_places(document: &Value) -> Vec<String> {
    let mut all = Vec::new();
    places(document, "", &mut all);
    assert!(all.len() > 100);
    all
}

#[test]
fn a_signed_report_verifies_and_comes_back() {
    let keys = keys();
    let document = signed();
    assert!(verifies(&document));
    let text = serde_json::to_string(&document).unwrap();
    assert_eq!(open(&text).unwrap(), sample(&keys));
    let found = verify(&text, &Keys::default(), None).unwrap();
    assert!(!found.authenticated, "no key was given");
    assert_eq!(found.signers.len(), 3);
    let unsure = |name: &str| {
        let mut checks = found.checks.iter();
        checks.any(|check| check.name == name && check.outcome == Outcome::NotChecked)
    };
    assert!(unsure("who signed") && unsure("file job.toml"));
}

/// Any reader can do it: the message is the domain's length as 8 bytes, little end first, the domain, and the canonical report.
#[test]
fn the_signed_bytes_are_as_documented() {
    let document = signed();
    let bytes = canonical(&document["report"]).unwrap();
    let framed = [
        &(DOMAIN.len() as u64).to_le_bytes(),
        DOMAIN.as_bytes(),
        &bytes,
    ]
    .concat();
    assert_eq!(&framed[..10], b"\x17\0\0\0\0\0\0\0le");
    let own = keys()[0].sign(DOMAIN, &bytes).to_bytes();
    let hex = crate::hex::hex(&own);
    assert_eq!(document["signatures"][0]["signature"], hex);
}

#[test]
fn order_of_keys_and_spaces_do_not_matter() {
    fn reversed(value: &Value, out: &mut String) {
        match value {
            Value::Object(fields) => {
                out.push_str("{ ");
                for (number, (name, inner)) in fields.iter().rev().enumerate() {
                    out.push_str(if number > 0 { "\n,\t" } else { "" });
                    out.push_str(&format!("{} : ", Value::from(name.as_str())));
                    reversed(inner, out);
                }
                out.push_str(" }");
            }
            Value::Array(values) => {
                out.push('[');
                for (number, inner) in values.iter().enumerate() {
                    out.push_str(if number > 0 { " , " } else { "" });
                    reversed(inner, out);
                }
                out.push(']');
            }
            Value::Number(number) if number.is_u64() => out.push_str(&format!("{number}.0e0")),
            Value::String(text) => {
                let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
                out.push_str(&format!("\"{}\"", units.collect::<String>()));
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut text = String::new();
    // The typed reader wants whole numbers written as such: only the signature is asked here.
    reversed(&signed()["report"], &mut text);
    let bytes = canonical(&super::canonical::parse(&text).unwrap()).unwrap();
    assert_eq!(bytes, canonical(&signed()["report"]).unwrap());
    let pretty = serde_json::to_string_pretty(&signed()).unwrap();
    assert!(verify(&pretty, &Keys::default(), None).unwrap().verified);
    let envelope = sign(sample(&keys()), &keys().each_ref()).unwrap();
    let in_order = serde_json::to_string(&envelope).unwrap();
    assert_ne!(in_order, serde_json::to_string(&signed()).unwrap());
    assert!(verify(&in_order, &Keys::default(), None).unwrap().verified);
}

#[test]
fn any_changed_value_fails() {
    let document = signed();
    for place in all_places(&document) {
        let mut changed = document.clone();
        let value = changed.pointer_mut(&place).unwrap();
        *value = match &*value {
            Value::Null => json!(1),
            Value::Bool(old) => json!(!old),
            Value::Number(number) if number.is_u64() => json!(number.as_u64().unwrap() + 1),
            Value::Number(number) => json!(number.as_f64().unwrap() * (1.0 + 4.0 * f64::EPSILON)),
            // The last letter, so that hexadecimal stays hexadecimal.
            Value::String(text) => {
                let (head, last) = text.split_at(text.char_indices().last().unwrap().0);
                json!(format!("{head}{}", if last == "0" { "1" } else { "0" }))
            }
            Value::Array(_) => json!([]),
            Value::Object(_) => json!({}),
        };
        let empty = document.pointer(&place) == changed.pointer(&place);
        assert!(empty || !verifies(&changed), "{place}");
    }
}

#[test]
fn anything_taken_away_or_added_fails() {
    let document = signed();
    for place in all_places(&document) {
        let mut added = document.clone();
        match added.pointer_mut(&place).unwrap() {
            Value::Object(fields) => drop(fields.insert("added".to_owned(), json!(1))),
            Value::Array(values) => values.push(json!("added")),
            _ => continue,
        }
        assert!(!verifies(&added), "added to {place}");
        let names: Vec<String> = match document.pointer(&place).unwrap() {
            Value::Object(fields) => fields.keys().cloned().collect(),
            _ => Vec::new(),
        };
        for name in names {
            let mut less = document.clone();
            let fields = less.pointer_mut(&place).unwrap().as_object_mut().unwrap();
            fields.remove(&name);
            assert!(!verifies(&less), "{place}/{name} taken away");
        }
    }
}

#[test]
fn signatures_cannot_be_taken_away_swapped_or_replaced() {
    let document = signed();
    for number in 0..3 {
        let mut less = document.clone();
        less["signatures"].as_array_mut().unwrap().remove(number);
        assert!(!verifies(&less));
        let mut other = document.clone();
        other["signatures"][number]["signature"] =
            document["signatures"][(number + 1) % 3]["signature"].clone();
        assert!(!verifies(&other));
        let mut upper = document.clone();
        let hex = document["signatures"][number]["signature"]
            .as_str()
            .unwrap();
        upper["signatures"][number]["signature"] = json!(hex.to_uppercase());
        assert!(!verifies(&upper), "one spelling");
    }
    // A stranger signs the whole report anew in the name of all: the file holds, the keys tell.
    let strangers = [7, 8, 9].map(|byte| IdentityKey::from_seed(Seed::from_bytes([byte; 32])));
    let mut forged = sample(&strangers);
    forged.summary = "All is well.".to_owned();
    let forged = sign(forged, &strangers.each_ref()).unwrap();
    let text = serde_json::to_string(&forged).unwrap();
    assert!(verify(&text, &Keys::default(), None).unwrap().verified);
    assert!(!verify(&text, &required(&keys()[0]), None).unwrap().verified);
    // A key is given to `sign` that is not the announced one.
    assert!(sign(sample(&keys()), &strangers.each_ref()).is_err());
    assert!(sign(sample(&keys()), &[&keys()[0]]).is_err());
}

#[expect(clippy::disallowed_methods, reason = "keys come from files")]
fn pem_file(keys: &[&IdentityKey]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text: String = keys
        .iter()
        .map(|key| public_key_pem(&key.public()))
        .collect();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn required(key: &IdentityKey) -> Keys {
    let mut given = Keys::default();
    given.require(pem_file(&[key]).path()).unwrap();
    given
}

#[test]
fn given_keys_decide_who_signed() {
    let text = serde_json::to_string(&signed()).unwrap();
    let [coordinator, first, second] = &keys();
    let stranger = IdentityKey::from_seed(Seed::from_bytes([9; 32]));
    let found = verify(&text, &required(first), None).unwrap();
    assert!(found.verified && found.authenticated);
    let trusted: Vec<bool> = found.signers.iter().map(|one| one.trusted).collect();
    assert_eq!(trusted, [false, true, false]);
    let found = verify(&text, &required(&stranger), None).unwrap();
    assert!(!found.verified && !found.authenticated);

    for (members, good) in [
        (vec![coordinator, first, second, &stranger], true),
        (vec![coordinator, first], false),
        (vec![&stranger], false),
    ] {
        let mut given = Keys::default();
        given.allow(pem_file(&members).path()).unwrap();
        let found = verify(&text, &given, None).unwrap();
        assert_eq!((found.verified, found.authenticated), (good, good));
    }
    let mut given = Keys::default();
    assert!(given.require(pem_file(&[]).path()).is_err(), "no key in it");
}

/// A later version of the program adds fields: they are under the signature, and this version still verifies.
#[test]
fn unknown_fields_are_signed_too() {
    let keys = keys();
    let mut document = signed();
    document["report"]["later"] = json!({"b": [1.5], "a": null});
    assert!(!verifies(&document), "the old signatures do not cover it");
    let bytes = canonical(&document["report"]).unwrap();
    for (number, key) in keys.iter().enumerate() {
        let signature = key.sign(DOMAIN, &bytes).to_bytes();
        let hex = crate::hex::hex(&signature);
        document["signatures"][number]["signature"] = json!(hex);
    }
    assert!(verifies(&document));
    document["report"]["later"]["b"][0] = json!(1.25);
    assert!(!verifies(&document));
}

#[test]
fn names_that_stand_twice_are_refused() {
    let text = serde_json::to_string(&signed()).unwrap();
    for (from, to) in [
        (
            "\"simulated\":true",
            "\"simulated\":true,\"simulated\":true",
        ),
        ("\"goal\":{", "\"goal\":{\"epsilon\":1,"),
        ("{\"report\"", "{\"type\":\"privacy-report\",\"report\""),
    ] {
        let twice = text.replacen(from, to, 1);
        assert_ne!(twice, text, "{from}");
        let refused = verify(&twice, &Keys::default(), None).unwrap_err();
        assert!(refused.contains("stands twice"), "{refused}");
        assert!(open(&twice).is_err());
    }
}

#[test]
fn other_documents_are_refused_in_words() {
    let refused = |text: &str| verify(text, &Keys::default(), None).unwrap_err();
    assert!(refused("{}").contains("no `type`"));
    assert!(refused("[]").contains("no `type`"));
    assert!(refused("privacy").contains("strict JSON"));
    assert!(
        refused(r#"{"type": "proof"}"#)
            .contains("\"proof\", which this version cannot verify (known: privacy-report, lepton-table-statement, lepton-destruction-certificate, lepton-key-revocation, lepton-key-destruction)")
    );
    let mut newer = signed();
    newer["report"]["version"] = json!(2);
    let found = verify(&newer.to_string(), &Keys::default(), None).unwrap();
    assert!(!found.verified && found.checks[0].found.contains("version 2"));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "files beside the report are what is tested"
)]
fn files_beside_the_report_must_be_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let text = serde_json::to_string(&signed()).unwrap();
    let outcome = || {
        let found = verify(&text, &Keys::default(), Some(folder.path())).unwrap();
        (found.verified, found.checks.last().unwrap().outcome)
    };
    assert_eq!(outcome(), (true, Outcome::NotChecked));
    std::fs::write(folder.path().join("job.toml"), "job").unwrap();
    assert_eq!(outcome(), (true, Outcome::Ok));
    std::fs::write(folder.path().join("job.toml"), "jab").unwrap();
    assert_eq!(outcome(), (false, Outcome::Failed));

    // A report cannot make a reader look elsewhere.
    let keys = keys();
    for outside in ["../job.toml", "/etc/hostname", "a/../../job.toml"] {
        let mut report = sample(&keys);
        report.files[0].file = outside.to_owned();
        let text = serde_json::to_string(&sign(report, &keys.each_ref()).unwrap()).unwrap();
        let found = verify(&text, &Keys::default(), Some(folder.path())).unwrap();
        assert_eq!(found.checks.last().unwrap().outcome, Outcome::NotChecked);
    }
}
