//! As much HTML as a site made by a generator needs: tags with their attributes, and the text between them.

/// A piece of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// An opening (or lone) tag: its name and what stands after it.
    Open(&'a str, &'a str),
    /// A closing tag.
    Close(&'a str),
    /// Text between tags.
    Text(&'a str),
}

/// The pieces of a page in order; comments, scripts and styles are left out.
pub(crate) fn pieces(page: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((text, after)) = rest.split_once('<') {
        if !text.is_empty() {
            found.push(Piece::Text(text));
        }
        rest = match after.strip_prefix("!--") {
            Some(comment) => behind(comment, "-->"),
            None => tag(after, &mut found),
        };
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    found
}

/// Takes the tag that begins behind `<`, and gives what follows it.
fn tag<'a>(after: &'a str, found: &mut Vec<Piece<'a>>) -> &'a str {
    let (inside, rest) = after
        .split_at_checked(tag_end(after))
        .unwrap_or((after, ""));
    let rest = rest.strip_prefix('>').unwrap_or(rest);
    if let Some(name) = inside.strip_prefix('/') {
        found.push(Piece::Close(name.trim()));
        return rest;
    }
    let (name, attributes) = inside
        .split_once(|c: char| c.is_whitespace() || c == '/')
        .unwrap_or((inside, ""));
    found.push(Piece::Open(name, attributes));
    match name {
        "script" => behind(rest, "</script>"),
        "style" => behind(rest, "</style>"),
        _ => rest,
    }
}

/// Where the `>` of a tag is: not inside of quotes.
fn tag_end(after: &str) -> usize {
    let mut quote = None;
    for (at, c) in after.char_indices() {
        match (quote, c) {
            (None, '>') => return at,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            _ => {}
        }
    }
    after.len()
}

fn behind<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or("", |(_, rest)| rest)
}

/// The value of an attribute, as it is meant: entities and `%XX` are what they stand for.
pub(crate) fn attribute(attributes: &str, name: &str) -> Option<String> {
    let starts = attributes.match_indices(name);
    let values = starts.filter_map(|(at, _)| {
        let before = attributes.get(..at)?;
        let whole = before.is_empty() || before.ends_with(char::is_whitespace);
        let value = attributes.get(at + name.len()..)?.strip_prefix("=\"")?;
        value.split_once('"').filter(|_| whole)
    });
    let (value, _) = { values }.next()?;
    Some(unescaped(value))
}

fn unescaped(value: &str) -> String {
    let value = value
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = after
            .get(if byte.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_texts_are_told_apart() {
        let page = "a<b class=\"x > y\">c</b><!-- <i> --><script>if (1 < 2) {}</script><br/>d";
        assert_eq!(
            pieces(page),
            [
                Piece::Text("a"),
                Piece::Open("b", "class=\"x > y\""),
                Piece::Text("c"),
                Piece::Close("b"),
                Piece::Open("script", ""),
                Piece::Open("br", ""),
                Piece::Text("d"),
            ]
        );
    }

    #[test]
    fn attributes_are_read_whole() {
        let tag = "data-href=\"no\" href=\"a.html#%C3%A4&amp;b\" id=\"\"";
        assert_eq!(attribute(tag, "href").unwrap(), "a.html#ä&b");
        assert_eq!(attribute(tag, "id").unwrap(), "");
        assert_eq!(attribute(tag, "src"), None);
        assert_eq!(unescaped("100%, 5%zz"), "100%, 5%zz");
    }
}
