//! [`Aggregate`]: what reviews say together, without asking anybody.

use serde::{Deserialize, Serialize};

use super::{Recommendation, Review};

/// The sum of several reviews.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// How many reviews there are.
    pub reviews: usize,
    /// The arithmetic mean of the scores, 1 to 10.
    pub mean_score: f64,
    /// The lowest score.
    pub lowest_score: u8,
    /// The highest score.
    pub highest_score: u8,
    /// What most reviewers recommend; of equally many, the more cautious.
    pub recommendation: Recommendation,
    /// The share of reviewers who recommend that, over 0 and up to 1.
    pub agreement: f64,
    /// What is good, in the order in which it is first said.
    pub strengths: Vec<Point>,
    /// What is wrong, in the order in which it is first said.
    pub weaknesses: Vec<Point>,
}

/// Something that one or more reviewers say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// In the words of the first who says it.
    pub text: String,
    /// The roles that say it, in their order.
    pub roles: Vec<String>,
}

impl Aggregate {
    /// Adds up reviews, each under the name of its role; `None` of none.
    ///
    /// Points are the same where they differ only in case and white space.
    ///
    /// ```
    /// use antiphon_core::patterns::{Aggregate, Recommendation, Review};
    ///
    /// let review = |score, weakness: &str, recommendation| Review {
    ///     score, strengths: vec![], weaknesses: vec![weakness.to_owned()], recommendation,
    /// };
    /// let security = review(4, "No limits", Recommendation::Revise);
    /// let performance = review(9, "no limits", Recommendation::Approve);
    /// let sum = Aggregate::of(&[("security", &security), ("performance", &performance)]).unwrap();
    /// assert_eq!((sum.mean_score, sum.agreement, sum.recommendation), (6.5, 0.5, Recommendation::Revise));
    /// assert_eq!(sum.weaknesses[0].roles, ["security", "performance"]);
    /// ```
    pub fn of(reviews: &[(&str, &Review)]) -> Option<Self> {
        let scores = || reviews.iter().map(|(_, review)| review.score);
        let (lowest_score, highest_score) = (scores().min()?, scores().max()?);
        let sum: f64 = scores().map(f64::from).sum();
        let votes = |what| {
            let for_it = |(_, review): &&(&str, &Review)| review.recommendation == what;
            reviews.iter().filter(for_it).count()
        };
        let (most, recommendation) = [
            Recommendation::Approve,
            Recommendation::Revise,
            Recommendation::Reject,
        ]
        .into_iter()
        .map(|what| (votes(what), what))
        .max()?;
        let count = reviews.len() as f64;
        Some(Self {
            reviews: reviews.len(),
            mean_score: sum / count,
            lowest_score,
            highest_score,
            recommendation,
            agreement: most as f64 / count,
            strengths: merged(reviews, |review| &review.strengths),
            weaknesses: merged(reviews, |review| &review.weaknesses),
        })
    }

    /// How far the scores lie apart, 0 to 9.
    pub fn spread(&self) -> u8 {
        self.highest_score - self.lowest_score
    }
}

fn merged(reviews: &[(&str, &Review)], points: impl Fn(&Review) -> &Vec<String>) -> Vec<Point> {
    let mut merged: Vec<(String, Point)> = Vec::new();
    for (role, review) in reviews {
        for text in points(review) {
            let words: Vec<&str> = text.split_whitespace().collect();
            let same = words.join(" ").to_lowercase();
            if same.is_empty() {
                continue;
            }
            match merged.iter_mut().find(|(known, _)| *known == same) {
                Some((_, point)) if point.roles.iter().any(|known| known == role) => {}
                Some((_, point)) => point.roles.push((*role).to_owned()),
                None => {
                    let point = Point {
                        text: text.trim().to_owned(),
                        roles: vec![(*role).to_owned()],
                    };
                    merged.push((same, point));
                }
            }
        }
    }
    merged.into_iter().map(|(_, point)| point).collect()
}
