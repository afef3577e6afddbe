//! A request as one of several models gets it.

use crate::{ChatRequest, SharedModel, chat::MemberError};

/// The request for the model at `index`, with a journal of its own. A model that is asked more than once gives samples;
/// every other model sees the request's own sample number, so that its cached answers are found.
pub(super) fn part(request: &ChatRequest, models: &[SharedModel], index: usize) -> ChatRequest {
    let name = models[index].name();
    let same = |models: &[SharedModel]| {
        let count = models.iter().filter(|model| model.name() == name).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let mut request = request.clone();
    request.sample = request
        .sample
        .wrapping_mul(same(models))
        .wrapping_add(same(&models[..index]));
    request.journal = request
        .journal
        .map(|journal| journal.part(&index.to_string()));
    request
}

/// What is told of a call whose answer was no longer needed.
pub(super) fn cancelled(why: &str) -> MemberError {
    MemberError {
        code: "cancelled".to_owned(),
        message: why.to_owned(),
    }
}
