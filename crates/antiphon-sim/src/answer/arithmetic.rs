//! Word problems: a short worked answer that ends in `#### 18`.
//!
//! Nothing is understood. A written-out expression is worked out truly; a word problem gets a number combined from the
//! numbers in it, always the same one for the same question: the *common answer*, which stands for the right one.
//! The share `accuracy` of questions gets it, the others get a near miss, so that voting and judging have something
//! to do.

use fastrand::Rng;

use super::expression::value_in;

/// Numbers beyond this many are not part of the combination: the chain of steps stays readable.
const MOST_STEPS: usize = 4;

/// A worked answer.
pub(super) struct Worked {
    pub(super) text: String,
    pub(super) result: f64,
}

/// Works an arithmetic question; `None` for other questions.
pub(super) fn work(question: &str, right: bool, rng: &mut Rng) -> Option<Worked> {
    let miss = if right {
        0.0
    } else {
        f64::from(rng.i32(1..=9))
    };
    if let Some(value) = value_in(question) {
        let result = tidy(value + miss);
        return Some(Worked {
            text: format!("The answer is {result}.\n#### {result}"),
            result,
        });
    }
    if !asks_for_a_number(question) {
        return None;
    }
    let numbers = numbers_in(question);
    let (&first, rest) = numbers.split_first()?;
    if rest.is_empty() {
        return None;
    }
    let mut value = first;
    let mut text = String::new();
    for (step, &number) in rest.iter().take(MOST_STEPS).enumerate() {
        let (sign, next) = combined(value, number, step);
        text.push_str(&format!(
            "{} {sign} {} = {}. ",
            tidy(value),
            tidy(number),
            tidy(next)
        ));
        value = next;
    }
    let result = tidy(value + miss);
    if miss > 0.0 {
        text.push_str(&format!("With what is left over, {result}. "));
    }
    Some(Worked {
        text: format!("{}\n#### {result}", text.trim_end()),
        result,
    })
}

fn asks_for_a_number(question: &str) -> bool {
    let question = question.to_lowercase();
    let words = [
        "how many",
        "how much",
        "how far",
        "how long",
        "how old",
        "what is the total",
        "calculate",
        "what percent",
        "what was the",
        "what is the",
    ];
    words.iter().any(|words| question.contains(words))
}

/// The next value in the chain: sums and differences that stay positive, small factors multiply.
fn combined(value: f64, number: f64, step: usize) -> (char, f64) {
    match step % 3 {
        0 if number <= 12.0 => ('*', value * number),
        1 if number < value => ('-', value - number),
        _ => ('+', value + number),
    }
}

fn numbers_in(text: &str) -> Vec<f64> {
    let text = text.replace(',', "");
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|piece| piece.trim_matches('.').parse::<f64>().ok())
        .filter(|number| number.is_finite() && *number < 1e12)
        .collect()
}

/// Two decimals: people do not answer with fifteen.
fn tidy(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worked(question: &str, right: bool) -> Worked {
        work(question, right, &mut Rng::with_seed(1)).unwrap()
    }

    #[test]
    fn a_word_problem_ends_in_its_number() {
        let question = "A shop sells 16 cups a day for $2 each. How much does it make in 5 days?";
        let right = worked(question, true);
        assert_eq!(right.text, "16 * 2 = 32. 32 - 5 = 27.\n#### 27");
        let wrong = worked(question, false);
        assert_ne!(wrong.result, right.result);
        assert!(wrong.text.ends_with(&format!("#### {}", wrong.result)));
    }

    #[test]
    fn expressions_are_answered_truly_and_prose_is_left_alone() {
        assert_eq!(worked("What is 17 + 25?", true).result, 42.0);
        let mut rng = Rng::with_seed(1);
        assert!(
            work(
                "Tell me about the 3 musketeers and 4 horsemen",
                true,
                &mut rng
            )
            .is_none()
        );
        assert!(work("How many are there?", true, &mut rng).is_none());
    }
}
