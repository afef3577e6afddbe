//! Answers as they are written: that of one model as it comes, those of several line by line.

use std::time::Instant;

use antiphon::core::{
    Error, Reply,
    patterns::{Partial, multiplex_models},
};
use anyhow::Result;

use super::{Question, answer};
use crate::Exit;

/// Shows what comes until all answers have ended or nobody reads any more, which drops what is in flight.
pub(super) async fn show(question: &Question<'_>) -> Result<Exit> {
    let is_alone = question.is_alone();
    let mut pieces = multiplex_models(question.calls(), question.at_once());
    let widest = question.labels.iter().map(|label| label.chars().count());
    let widest = widest.max().unwrap_or_default();
    let mut columns: Vec<Column> = question
        .labels
        .iter()
        .map(|label| match is_alone {
            true => Column::default(),
            false => Column::after(format!("{label:<widest$} | ")),
        })
        .collect();
    let asked = Instant::now();
    let mut failed = 0;
    while let Some((at, piece)) = pieces.next().await {
        let column = &mut columns[at];
        let shown = match &piece {
            Partial::Text(text) => column.take(text),
            Partial::Finished(reply) => column.take_refusal(reply) + &column.end(),
            Partial::Failed(error) if is_alone => {
                if column.has_begun {
                    question.printer.text(&column.end())?;
                }
                return Ok(question.fails(error));
            }
            Partial::Failed(error) => {
                failed += 1;
                column.end() + &column.failure(error)
            }
        };
        if !question.printer.text(&shown)? {
            return Ok(Exit::Success);
        }
        if let Partial::Finished(reply) = &piece {
            question.say_facts(at, reply, asked.elapsed());
        }
    }
    Ok(question.exit(failed))
}

/// What is shown of one answer.
#[derive(Debug, Default)]
struct Column {
    /// What each line begins with. Without it pieces are shown as they come.
    prefix: Option<String>,
    /// A line that has not ended, where lines are shown whole.
    line: String,
    /// Whether any text has come.
    has_begun: bool,
    /// Whether what was shown last has ended its line.
    is_at_line_start: bool,
}

impl Column {
    fn after(prefix: String) -> Self {
        Self {
            prefix: Some(prefix),
            ..Self::default()
        }
    }

    /// What is to be shown now that this piece has come.
    fn take(&mut self, piece: &str) -> String {
        self.has_begun |= !piece.is_empty();
        let Some(prefix) = &self.prefix else {
            self.is_at_line_start = piece.ends_with('\n');
            return piece.to_owned();
        };
        self.line.push_str(piece);
        let Some(end) = self.line.rfind('\n') else {
            return String::new();
        };
        let rest = self.line.split_off(end + 1);
        let lines = std::mem::replace(&mut self.line, rest);
        let lines = lines.split_inclusive('\n');
        lines.flat_map(|line| [prefix.as_str(), line]).collect()
    }

    /// The words of a model that declined without any other.
    fn take_refusal(&mut self, reply: &Reply) -> String {
        match &reply.answer.refusal {
            Some(refusal) if !self.has_begun => self.take(refusal),
            _ => String::new(),
        }
    }

    /// The end of the answer's last line.
    fn end(&mut self) -> String {
        match &self.prefix {
            None if self.is_at_line_start => String::new(),
            None => "\n".to_owned(),
            Some(_) if self.line.is_empty() => String::new(),
            Some(_) => self.take("\n"),
        }
    }

    fn failure(&self, error: &Error) -> String {
        let prefix = self.prefix.as_deref().unwrap_or_default();
        format!("{prefix}failed: {}\n", answer::why(error))
    }
}

#[cfg(test)]
mod tests {
    use super::Column;

    #[test]
    fn lines_of_several_answers_are_shown_whole() {
        let mut column = Column::after("a | ".to_owned());
        assert_eq!(column.take("one "), "");
        assert_eq!(column.take("two\n\nthr"), "a | one two\na | \n");
        assert_eq!(column.take("ee"), "");
        assert_eq!(column.end(), "a | three\n");
        assert_eq!(column.end(), "");
    }

    #[test]
    fn one_answer_is_shown_as_it_comes_and_ends_its_line() {
        let mut column = Column::default();
        assert_eq!(column.take("one "), "one ");
        assert_eq!(column.take("two"), "two");
        assert_eq!(column.end(), "\n");
        assert_eq!(column.take("\n"), "\n");
        assert_eq!(column.end(), "");
    }
}
