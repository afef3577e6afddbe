//! Equal requests of one list, told apart.

use std::collections::{HashMap, HashSet};

use crate::{ChatRequest, Fingerprint};

/// Gives equal requests different sample numbers, so that each is a call of its own. A number that a request has already
/// is kept where it is the first with it.
pub(super) fn tell_equal_apart(model: &str, requests: &mut [ChatRequest]) {
    tell_calls_apart(requests.iter_mut().map(|request| (model, request)));
}

/// The same for requests to several models: those to different ones are never equal.
pub(super) fn tell_calls_apart<'a>(
    calls: impl IntoIterator<Item = (&'a str, &'a mut ChatRequest)>,
) {
    let mut taken = HashSet::new();
    let mut next: HashMap<Fingerprint, u32> = HashMap::new();
    for (model, request) in calls {
        let print = Fingerprint::of(&[model], request);
        let next = next.entry(print).or_default();
        while !taken.insert((print, request.sample)) {
            request.sample = *next;
            *next = next.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_requests_get_numbers_of_their_own() {
        let ask = |text, sample| ChatRequest {
            sample,
            ..ChatRequest::prompt(text)
        };
        let mut requests = [
            ask("a", 0),
            ask("b", 0),
            ask("a", 0),
            ask("a", 1),
            ask("a", 7),
        ];
        tell_equal_apart("m", &mut requests);
        let samples = requests.map(|request| request.sample);
        assert_eq!(samples, [0, 0, 1, 2, 7]);
    }
}
