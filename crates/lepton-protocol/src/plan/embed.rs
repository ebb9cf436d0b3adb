//! Category columns that look up an embedding table (rule PR-09).

use lepton_learn::{CategoryEncoding, EmbeddingTable};

use crate::job::Job;

/// The tables of `(column, feature, rows of its table)`; a column of another name than the job embeds has none.
pub(super) fn tables<'a>(
    job: &Job,
    columns: impl IntoIterator<Item = (&'a str, usize, usize)>,
) -> Vec<EmbeddingTable> {
    let widths = job.model().embeddings();
    let table = |(name, feature, levels): (&str, usize, usize)| {
        Some(EmbeddingTable {
            features: vec![feature],
            levels,
            width: widths.get(name)?.get() as usize,
        })
    };
    columns.into_iter().filter_map(table).collect()
}

/// How the categories of a column are written for the model.
pub(super) fn encoding(job: &Job, column: &str) -> CategoryEncoding {
    if job.model().embeddings().contains_key(column) {
        CategoryEncoding::Index
    } else {
        CategoryEncoding::OneHot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::public::{Moments, PublicState};
    use lepton_learn::ModelKind;

    const JOB: &str = "[job]\nname = \"n\"\n[data]\ntable = \"n.csv\"\nlabel = \"y\"\nclasses = [\"a\", \"b\"]\n\
        features = [\"x\", \"city\", \"z\", \"ward\"]\n\
        types = { x = \"number\", z = \"category\", city = \"category\", ward = \"category\", y = \"category\" }\n\
        [prepare]\nmissing = \"mean\"\nbounds = { x = [0, 1] }\nvalues = { ward = [\"n\", \"s\"], z = [\"u\"] }\n\
        [model]\nkind = \"mlp\"\nhidden = [5]\nembeddings = { ward = 3, city = 7 }\n";

    fn plan(missing: &str) -> Plan {
        let text = JOB.replace("\"mean\"", &format!("\"{missing}\""));
        Plan::new(Job::parse("n.toml", &text, &[]).unwrap(), 3).unwrap()
    }

    fn public(plan: &Plan, kept: Vec<u32>) -> PublicState {
        let moments = Moments {
            mean: 0.5,
            std: 0.25,
        };
        let mut public = PublicState {
            rows: 10.0,
            moments: Some([("x".to_owned(), moments)].into()),
            kept: [("city".to_owned(), kept)].into(),
            ..PublicState::default()
        };
        public.derive(plan).unwrap();
        public
    }

    /// PR-09: the rows of a table are what preparation kept, then "other" and, if asked for, "missing".
    #[test]
    fn tables_have_the_rows_that_preparation_found() {
        for (missing, more) in [("mean", 1), ("indicator", 2)] {
            let plan = plan(missing);
            for kept in [vec![], vec![4, 9, 77]] {
                let (cities, wards, spread) = (kept.len() + more, 2 + more, 1 + more);
                let public = public(&plan, kept);
                let spec = plan.model_spec(&public).unwrap();
                let ModelKind::Embedding { tables, hidden, .. } = &spec.kind else {
                    panic!("{spec:?}");
                };
                // x (and whether it is missing), then city, then z spread out, then ward.
                let of = |feature, levels, width| EmbeddingTable {
                    features: vec![feature],
                    levels,
                    width,
                };
                let wanted = [of(more, cities, 7), of(more + 1 + spread, wards, 3)];
                assert_eq!((&tables[..], &hidden[..]), (&wanted[..], &[5][..]));
                assert_eq!(spec.inputs, more + 2 + spread);
                let dense = (7 + 3 + more + spread + 1) * 5 + 6;
                let len = plan.model_len(&public).unwrap();
                assert_eq!(len, cities * 7 + wards * 3 + dense);
            }
        }
    }
}
