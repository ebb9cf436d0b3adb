//! The parts of a Markdown text that cite something.

/// A citation in a document.
pub(crate) enum Piece<'a> {
    /// The target of a link.
    Link(&'a str),
    /// The inside of a code span, or a line of a shell block.
    Code(&'a str),
}

/// Links, code spans and lines of shell blocks, with their line numbers.
pub(crate) fn pieces(text: &str) -> Vec<(usize, Piece<'_>)> {
    let mut found = Vec::new();
    let mut fence: Option<bool> = None;
    for (line, number) in text.lines().zip(1..) {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let shell = matches!(language.trim(), "" | "sh" | "bash" | "console" | "text");
            fence = if fence.is_some() { None } else { Some(shell) };
        } else if let Some(shell) = fence {
            found.extend(shell.then_some((number, Piece::Code(line))));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(spans.map(|span| (number, Piece::Code(span))));
            let prose: Vec<_> = line.split('`').step_by(2).collect();
            found.extend(
                prose
                    .iter()
                    .flat_map(|part| link_targets(part))
                    .map(|to| (number, Piece::Link(to))),
            );
        }
    }
    found
}

/// Targets of `[text](target)` in a line's prose; a text that is code may have been cut off before `](`.
fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("](").map(|(at, mark)| at + mark.len());
    starts.filter_map(|start| text.get(start..)?.split_once(')').map(|(target, _)| target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_spans_and_shell_lines_are_found_with_their_lines() {
        let text =
            "a [b](c.md) `d e` [`f`](g.md)\n```toml\nx = \"docs/no.md\"\n```\n```sh\nrun it\n```\n";
        let found: Vec<_> = pieces(text)
            .into_iter()
            .map(|(line, piece)| match piece {
                Piece::Link(to) => format!("{line} link {to}"),
                Piece::Code(code) => format!("{line} code {code}"),
            })
            .collect();
        assert_eq!(
            found,
            [
                "1 code d e",
                "1 code f",
                "1 link c.md",
                "1 link g.md",
                "6 code run it"
            ]
        );
    }
}
