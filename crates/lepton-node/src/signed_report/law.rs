//! Where a privacy report is of use under the General Data Protection Regulation (EU) 2016/679 and the California Consumer Privacy Act
//! (Cal. Civ. Code § 1798.100 and following, as amended). Support for people who have to answer for a processing; never a verdict.

use super::document::{Law, LawLine};

/// What the lines depend on.
pub(super) struct Facts<'a> {
    /// `epsilon ≤ 3 at delta 1e-5`, where there is a privacy goal.
    pub(super) bound: Option<&'a str>,
    /// `the coordinator together with up to 1 party`.
    pub(super) adversary: &'a str,
    /// Whether one process played all parties.
    pub(super) simulated: bool,
    /// Whether masks and noise can be repeated.
    pub(super) seeded: bool,
}

/// The lines for this run.
pub(super) fn law(facts: &Facts<'_>) -> Law {
    Law {
        note: note(facts),
        lines: [gdpr(facts), ccpa(facts)].concat(),
    }
}

fn line(law: &str, place: [&str; 2], supplied: String, open: &str) -> LawLine {
    let [provision, subject] = place.map(str::to_owned);
    LawLine {
        law: law.to_owned(),
        provision,
        subject,
        supplied,
        open: open.to_owned(),
    }
}

fn gdpr(facts: &Facts<'_>) -> Vec<LawLine> {
    vec![
        line(
            "GDPR",
            ["Art. 5(1)(c)", "data minimisation"],
            "Rows stay with their party; what leaves are the sums and releases listed here."
                .to_owned(),
            "Whether these columns are needed for the purpose at all.",
        ),
        line(
            "GDPR",
            ["Art. 5(2)", "accountability"],
            "A signed list of what was released, at what cost and on which assumptions.".to_owned(),
            "Purpose, legal basis, information of the people concerned.",
        ),
        line(
            "GDPR",
            ["Art. 25", "data protection by design and by default"],
            design_words(facts),
            "Whether the job's goal suits the risk.",
        ),
        line(
            "GDPR",
            [
                "Art. 30(1)(g), 30(2)(d)",
                "record of processing: technical measures",
            ],
            "Text for the general description: masked sums with their parameters, noise, budget."
                .to_owned(),
            "The rest of the record: purposes, categories, recipients, time limits.",
        ),
        line(
            "GDPR",
            [
                "Art. 5(1)(f), 32",
                "confidentiality, security of processing",
            ],
            hidden_words(facts),
            "Machines, accounts, transport, stores, staff.",
        ),
        line(
            "GDPR",
            [
                "Art. 35(7)(c), (d)",
                "impact assessment: risks and measures",
            ],
            bound_words(facts),
            "Likelihood and severity for the people concerned; other risks; the judgement itself.",
        ),
    ]
}

fn ccpa(facts: &Facts<'_>) -> Vec<LawLine> {
    vec![
        line(
            "CCPA",
            [
                "§ 1798.100(c), (e)",
                "proportionate use, reasonable security",
            ],
            "What left each party, and by which measures it was protected.".to_owned(),
            "Purpose and the consumer's expectations; security of the machines.",
        ),
        line(
            "CCPA",
            ["§ 1798.140(b), (m)", "aggregate, deidentified information"],
            bound_words(facts),
            "Whether the result meets the definition; the public commitment and the contracts that (m) asks for.",
        ),
        line(
            "CCPA",
            ["§ 1798.185", "risk assessment"],
            "Facts about what is released and what is not protected.".to_owned(),
            "The weighing of benefits against risks.",
        ),
    ]
}

fn note(facts: &Facts<'_>) -> String {
    let mut note = "Facts for a record of processing and for an impact assessment. This is no legal advice; nothing here says that a processing is lawful, \
                    that a result is anonymous (GDPR, recital 26) or that a law is complied with."
        .to_owned();
    if facts.simulated {
        note += " The run was a simulation on one machine, whose operator could read all rows: it shows what the same job would release between \
                 machines, and is itself a processing of the pooled rows by that operator.";
    }
    if facts.seeded {
        note += " An insecure_seed was used: do not rely on anything here but the list of what was released.";
    }
    note
}

fn hidden_words(facts: &Facts<'_>) -> String {
    if facts.seeded {
        return "Nothing: an insecure_seed was used, and whoever knows it can take every mask off."
            .to_owned();
    }
    format!(
        "Against {}, one party's numbers are hidden in sums over at least the survivor floor of parties.",
        facts.adversary
    )
}

fn bound_words(facts: &Facts<'_>) -> String {
    match facts.bound {
        _ if facts.seeded => {
            "No bound: an insecure_seed was used, and no number here holds.".to_owned()
        }
        Some(bound) => format!(
            "A bound on what all releases tell about one unit of privacy ({bound}), with its assumptions and limits."
        ),
        None => "No bound: sums are exact, and the result may tell things about single records."
            .to_owned(),
    }
}

fn design_words(facts: &Facts<'_>) -> String {
    if facts.seeded {
        "Nothing: an insecure_seed was used.".to_owned()
    } else if facts.bound.is_some() {
        "Noise is fixed for the goal before the run, and every release is charged before it is drawn; what does not fit is refused.".to_owned()
    } else {
        "Masked sums only; no privacy goal was set.".to_owned()
    }
}
