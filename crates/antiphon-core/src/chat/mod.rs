//! Values of a chat: [`ChatRequest`] in, [`ChatResponse`] (head + body) out.

mod answer;
mod completion;
mod compose;
mod delta;
mod members;
mod object;
mod reply;
mod request;
mod response;

pub use answer::{Answer, FinishReason, ToolCall};
pub use completion::{COMPLETION_WIRE, completion};
pub use delta::{ChatDelta, Fold, ToolCallDelta, deltas_of};
pub use members::{Decision, Gathered, Member, MemberError};
pub use object::Object;
pub use reply::Reply;
pub use request::{Charge, ChatRequest, Content, Delivery, Message, Origin, Role, Verbatim};
pub use response::{Body, ChatResponse, DeltaStream, Head, LimitWindow, RateLimits, Receipt};
