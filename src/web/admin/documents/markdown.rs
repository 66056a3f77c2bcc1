//! A document of `docs/` as HTML. The documents are our own; HTML in them is shown as text all the same.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html::push_html};

/// A document's title, and its text without the title and the link to the other language.
pub fn split(text: &str) -> (&str, &str) {
    let (mut title, mut rest) = ("", text);
    while let Some((line, more)) = rest.split_once('\n') {
        let is_other_language = line.starts_with("[简体中文](") || line.starts_with("[English](");
        match line.strip_prefix("# ") {
            Some(words) if title.is_empty() => title = words.trim(),
            _ if is_other_language || line.trim().is_empty() => {}
            _ => break,
        }
        rest = more;
    }
    (title, rest)
}

/// A text as HTML. Headings have the ids that links name, tables can be scrolled by themselves. Links to documents that
/// `is_served` knows lead to their pages; what a link to another file of the repository says stays without the link.
pub fn html(text: &str, is_served: impl Fn(&str) -> bool) -> String {
    let mut events: Vec<Event> = Vec::new();
    // Whether the links that are open lead anywhere.
    let mut links: Vec<bool> = Vec::new();
    let mut heading = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                heading = Some(events.len());
                events.push(event);
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some(start) = heading.take() {
                    let id = anchor(&events[start..]);
                    if let Some(Event::Start(Tag::Heading { id: named, .. })) = events.get_mut(start) {
                        *named = Some(id.into());
                    }
                }
                events.push(event);
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let target = address(&dest_url, &is_served);
                links.push(target.is_some());
                if let Some(target) = target {
                    events.push(Event::Start(Tag::Link { link_type, dest_url: target.into(), title, id }));
                }
            }
            Event::End(TagEnd::Link) => {
                if links.pop() == Some(true) {
                    events.push(event);
                }
            }
            Event::Start(Tag::Table(_)) => {
                events.push(Event::Html("<div class=\"card wrap\" tabindex=\"0\">".into()));
                events.push(event);
            }
            Event::End(TagEnd::Table) => {
                events.push(event);
                events.push(Event::Html("</div>".into()));
            }
            Event::Html(html) | Event::InlineHtml(html) => events.push(Event::Text(html)),
            other => events.push(other),
        }
    }
    let mut html = String::with_capacity(text.len() * 2);
    push_html(&mut html, events.into_iter());
    html
}

/// Where a link of a document leads here, if anywhere.
fn address(link: &str, is_served: impl Fn(&str) -> bool) -> Option<String> {
    if link.starts_with("https://") || link.starts_with("http://") || link.starts_with('#') {
        return Some(link.to_owned());
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, format!("#{anchor}")),
        None => (link, String::new()),
    };
    let name = path.strip_suffix(".md")?;
    let name = name.strip_suffix(".zh-CN").unwrap_or(name);
    is_served(name).then(|| format!("/docs/{name}{anchor}"))
}

/// The id that links to a heading use: its words in small letters, without punctuation, joined by hyphens.
fn anchor(heading: &[Event]) -> String {
    let text = heading.iter().filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(text),
        _ => None,
    });
    text.flat_map(|text: &CowStr| text.chars())
        .flat_map(char::to_lowercase)
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            letter => letter.is_alphanumeric().then_some(letter),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documents_links_headings_tables_and_html_become_what_a_page_can_show() {
        let (title, text) = split(
            "# Limits\n\n[简体中文](limits.zh-CN.md)\n\n## What *rests*, and `why`?\n\n\
             [a](models.zh-CN.md#x) [b](../README.md) [c](https://example.com/) <b>no</b>\n\n| a |\n|---|\n| 1 |\n",
        );
        assert_eq!(title, "Limits");
        assert_eq!(split("[English](a.md)\n\n# 限额\n\n正文\n\n# 二\n"), ("限额", "正文\n\n# 二\n"));
        let html = html(text, |name| name == "models");
        for part in [
            "<h2 id=\"what-rests-and-why\">",
            "<a href=\"/docs/models#x\">a</a> b <a href=\"https://example.com/\">c</a>",
            "&lt;b&gt;no&lt;/b&gt;",
            "<div class=\"card wrap\" tabindex=\"0\"><table>",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
    }
}
