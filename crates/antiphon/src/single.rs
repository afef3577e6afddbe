//! Single calls: a text, a value of a type, an answer as it is written.

use std::sync::Arc;

use antiphon_core::{
    ChatRequest, Error, ErrorKind, Reply, SharedModel,
    chat::Object,
    layers::validate::{Validate, ValidateConfig},
    patterns::TextStream,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// Asks for a text. The reply shows as its text and knows its usage, tools that are called, and whether it was cut off or
/// declined: without a schema those are answers too.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use antiphon::{Session, generate_text};
///
/// let model = Session::from_env()?.model("sim/demo")?;
/// let reply = generate_text(&model, "Why is the sky blue?").await?;
/// assert!(reply.to_string().starts_with("(simulated)"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// What the model says, after its retries.
pub async fn generate_text(
    model: &SharedModel,
    request: impl Into<ChatRequest>,
) -> Result<Reply, Error> {
    let reply = judged(model).ask(request.into()).await?;
    Ok(reply.released())
}

/// Asks for a value of a type. Its schema is derived (`schemars`), goes to the provider in its dialect's strict form, and
/// the answer is judged by the full schema; one that does not fit is asked again twice, with what is wrong with it. A request
/// that has a schema of its own keeps it.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use antiphon::{Session, generate_object};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Review {
///     /// Between 1 and 10.
///     #[schemars(range(min = 1, max = 10))]
///     score: u8,
/// }
///
/// let model = Session::from_env()?.model("sim/demo")?;
/// let review = generate_object::<Review>(&model, "Review: it broke after a day").await?;
/// assert!(review.value.score <= 10);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::Refused`]: the model declined. [`ErrorKind::CutOff`]: the answer ended at its length limit.
/// [`ErrorKind::OffSchema`]: it is not JSON, or does not fit, after all asks; the message says which and where.
/// [`ErrorKind::BadRequest`]: the type has no valid schema. And what the model says, after its retries.
pub async fn generate_object<T: JsonSchema + DeserializeOwned>(
    model: &SharedModel,
    request: impl Into<ChatRequest>,
) -> Result<Object<T>, Error> {
    let mut request: ChatRequest = request.into();
    let schema = match request.schema.take() {
        Some(schema) => schema,
        None => antiphon_core::Schema::of::<T>().map_err(|error| {
            let message = format!("the type has no valid JSON Schema: {error}");
            Error::new(ErrorKind::BadRequest, message)
        })?,
    };
    let request = request.with_schema(schema.clone());
    let reply = judged(model).ask(request).await?;
    Object::read(&schema, reply.released())
}

/// Asks for a text as it is written: deltas with their index, then one last delta with the whole reply and its usage.
/// Nothing is sent before the stream is polled, and dropping it cancels the call. With a schema there is nothing to show
/// before the answer was judged, so it comes in one piece.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use antiphon::{Session, stream_text};
///
/// let model = Session::from_env()?.model("sim/demo")?;
/// let mut answer = stream_text(&model, "Why is the sky blue?");
/// let mut shown = String::new();
/// while let Some(delta) = answer.next().await {
///     shown.push_str(&delta?.text);
/// }
/// # Ok(())
/// # }
/// ```
pub fn stream_text(model: &SharedModel, request: impl Into<ChatRequest>) -> TextStream {
    TextStream::new(&judged(model), request.into())
}

/// The model with its answers judged by the request's schema. A model of a session does so itself; any other does not.
fn judged(model: &SharedModel) -> SharedModel {
    let config = ValidateConfig::default();
    Arc::new(Validate::new(Arc::clone(model), config))
}
