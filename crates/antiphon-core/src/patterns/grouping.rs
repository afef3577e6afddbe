//! [`Grouping`]: which requests go together, and which of them a cheaper model answers. Pure arithmetic.

use std::{fmt, ops::Range, sync::Arc};

use crate::Usage;

/// What tokens cost, in the unit of the budget.
type Price = Arc<dyn Fn(&Usage) -> f64 + Send + Sync>;

/// Which of the two models answers a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The one that was asked for.
    Main,
    /// The cheap one.
    Fallback,
}

/// Requests that go together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Their indices.
    pub items: Range<usize>,
    /// What they are thought to use together.
    pub usage: Usage,
    /// Which model answers them.
    pub tier: Tier,
}

/// Limits of a group and a budget for all of them together.
///
/// A group goes to the main model as long as everything after it could still be paid at the fallback's price. So the
/// budget holds whenever the fallback alone could hold it. Nothing is known here of what models cost: prices are functions
/// that the caller names.
#[derive(Clone)]
pub struct Grouping {
    max_tokens: u64,
    max_requests: usize,
    budget: Option<Budget>,
}

#[derive(Clone)]
struct Budget {
    limit: f64,
    main: Price,
    fallback: Price,
}

impl Grouping {
    /// Groups of at most so many tokens, input and output together, and so many requests (0 counts as 1). A request with
    /// more tokens is a group of its own.
    pub fn new(max_tokens: u64, max_requests: usize) -> Self {
        Self {
            max_tokens,
            max_requests: max_requests.max(1),
            budget: None,
        }
    }

    /// With a budget in US dollars, or any other unit in which `main` and `fallback` say what tokens cost. A price that is
    /// no number counts as beyond any budget.
    #[must_use]
    pub fn with_budget(
        mut self,
        limit: f64,
        main: impl Fn(&Usage) -> f64 + Send + Sync + 'static,
        fallback: impl Fn(&Usage) -> f64 + Send + Sync + 'static,
    ) -> Self {
        self.budget = Some(Budget {
            limit,
            main: Arc::new(main),
            fallback: Arc::new(fallback),
        });
        self
    }

    /// With a budget of the main model's tokens; those of the fallback are free.
    #[must_use]
    pub fn with_token_budget(self, tokens: u64) -> Self {
        self.with_budget(tokens as f64, |usage| usage.total() as f64, |_| 0.0)
    }

    /// The groups of requests that are thought to use so many tokens each, in the order of the requests.
    pub fn groups(&self, items: &[Usage]) -> Vec<Group> {
        let mut groups = self.cut(items);
        let later = self.cheapest_later(&groups);
        let mut spent = 0.0;
        for (group, later) in groups.iter_mut().zip(later) {
            group.tier = self.tier(spent, &group.usage, later);
            spent += self.price(group.tier, &group.usage);
        }
        groups
    }

    /// For each group what all groups after it cost at the fallback's price.
    pub(super) fn cheapest_later(&self, groups: &[Group]) -> Vec<f64> {
        let mut later = vec![0.0; groups.len()];
        for index in (1..groups.len()).rev() {
            later[index - 1] = later[index] + self.price(Tier::Fallback, &groups[index].usage);
        }
        later
    }

    /// Which model answers a group, when so much has been spent and the groups after it need so much at least.
    pub(super) fn tier(&self, spent: f64, usage: &Usage, later: f64) -> Tier {
        let Some(budget) = &self.budget else {
            return Tier::Main;
        };
        let needed = spent + self.price(Tier::Main, usage) + later;
        // false for what is no number
        if needed <= budget.limit {
            Tier::Main
        } else {
            Tier::Fallback
        }
    }

    /// What these tokens cost; 0 without a budget.
    pub fn price(&self, tier: Tier, usage: &Usage) -> f64 {
        match (&self.budget, tier) {
            (None, _) => 0.0,
            (Some(budget), Tier::Main) => (budget.main)(usage),
            (Some(budget), Tier::Fallback) => (budget.fallback)(usage),
        }
    }

    fn cut(&self, items: &[Usage]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (index, usage) in items.iter().enumerate() {
            let fits = |group: &Group| {
                let tokens = group.usage.total().saturating_add(usage.total());
                group.items.len() < self.max_requests && tokens <= self.max_tokens
            };
            match groups.last_mut().filter(|group| fits(group)) {
                Some(group) => {
                    group.items.end = index + 1;
                    group.usage += *usage;
                }
                None => groups.push(Group {
                    items: index..index + 1,
                    usage: *usage,
                    tier: Tier::Main,
                }),
            }
        }
        groups
    }
}

impl fmt::Debug for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grouping")
            .field("max_tokens", &self.max_tokens)
            .field("max_requests", &self.max_requests)
            .field("budget", &self.budget.as_ref().map(|budget| budget.limit))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(input: u64) -> Usage {
        Usage {
            input_tokens: input,
            ..Usage::default()
        }
    }

    fn total_price(grouping: &Grouping, groups: &[Group]) -> f64 {
        let prices = groups
            .iter()
            .map(|group| grouping.price(group.tier, &group.usage));
        prices.sum()
    }

    proptest! {
        #[test]
        fn groups_cover_all_items_in_order_and_keep_every_limit(
            items in prop::collection::vec(0u64..1000, 0..80),
            max_tokens in 0u64..3000,
            max_requests in 0usize..10,
            limit in 0u64..40_000,
        ) {
            let items: Vec<Usage> = items.into_iter().map(tokens).collect();
            let grouping = Grouping::new(max_tokens, max_requests)
                .with_budget(limit as f64, |usage| usage.total() as f64, |usage| (usage.total() / 4) as f64);
            let groups = grouping.groups(&items);
            prop_assert!(groups.iter().flat_map(|group| group.items.clone()).eq(0..items.len()));
            for group in &groups {
                prop_assert!(group.items.len() <= max_requests.max(1));
                prop_assert!(group.usage.total() <= max_tokens || group.items.len() == 1);
                let sum: u64 = items[group.items.clone()].iter().map(Usage::total).sum();
                prop_assert_eq!(group.usage.total(), sum);
            }
            let cheapest: f64 = groups.iter().map(|group| grouping.price(Tier::Fallback, &group.usage)).sum();
            if cheapest <= limit as f64 {
                prop_assert!(total_price(&grouping, &groups) <= limit as f64);
            } else {
                prop_assert!(groups.iter().all(|group| group.tier == Tier::Fallback || group.usage.total() < 4));
            }
        }
    }

    #[test]
    fn the_last_groups_go_to_the_cheap_model() {
        let items = [tokens(10), tokens(10), tokens(10), tokens(10)];
        let tiers = |grouping: Grouping| {
            let groups = grouping.groups(&items);
            groups.iter().map(|group| group.tier).collect::<Vec<_>>()
        };
        use Tier::{Fallback, Main};
        let one_each = || Grouping::new(10, 1);
        assert_eq!(tiers(one_each()), [Main; 4]);
        assert_eq!(
            tiers(one_each().with_token_budget(25)),
            [Main, Main, Fallback, Fallback]
        );
        // two dollars a main group, one a cheap one: six pay for two of the first and two of the second kind
        let dollars = one_each().with_budget(6.0, |_| 2.0, |_| 1.0);
        assert_eq!(tiers(dollars), [Main, Main, Fallback, Fallback]);
        let unknown = one_each().with_budget(6.0, |_| f64::NAN, |_| 1.0);
        assert_eq!(tiers(unknown), [Fallback; 4]);
    }
}
