//! Which texts of a node go into one request.

use super::split::CannotSplit;

/// Texts that are neighbours.
#[derive(Debug, PartialEq)]
pub(super) struct Group<'a> {
    /// In order.
    pub(super) texts: Vec<&'a str>,
    /// Whether they are reduced; a text alone may wait for the next round as it is.
    pub(super) asked: bool,
}

/// Groups texts greedily in their order: as many as fit, `fan_in` at most. A text that does not fit alone is split first.
/// Where no two fit together, each is condensed alone.
pub(super) fn group<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    fan_in: usize,
    fits: impl Fn(&[&str]) -> bool,
    split: impl Fn(&'a str) -> Result<Vec<&'a str>, CannotSplit>,
) -> Result<Vec<Group<'a>>, CannotSplit> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for text in texts {
        let too_long = !fits(&[text]);
        let pieces = if too_long { split(text)? } else { vec![text] };
        for piece in pieces {
            let last = groups.last_mut().filter(|last| last.texts.len() < fan_in);
            if let Some(last) = last {
                last.texts.push(piece);
                if fits(&last.texts) {
                    last.asked = true;
                    continue;
                }
                last.texts.pop();
            }
            groups.push(Group {
                texts: vec![piece],
                asked: too_long,
            });
        }
    }
    if groups.iter().all(|group| !group.asked) {
        groups.iter_mut().for_each(|group| group.asked = true);
    }
    Ok(groups)
}
