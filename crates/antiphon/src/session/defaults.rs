//! Parameters of the configuration, beneath those of each request.

use std::sync::Arc;

use antiphon_core::{BoxFuture, ChatRequest, ChatResponse, Error, Model, SharedModel};
use serde_json::{Map, Value};

/// The model, asked with these parameters wherever a request does not say otherwise. Without any it is the very same model.
pub(super) fn with_defaults(model: SharedModel, params: &Map<String, Value>) -> SharedModel {
    if params.is_empty() {
        return model;
    }
    let params = params.clone();
    Arc::new(Defaults { model, params })
}

/// Lays parameters beneath those of a request.
pub(crate) fn lay_beneath(params: &Map<String, Value>, request: &mut ChatRequest) {
    if params.is_empty() {
        return;
    }
    let own = Arc::make_mut(&mut request.params);
    for (name, value) in params {
        own.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

#[derive(Debug)]
struct Defaults {
    model: SharedModel,
    params: Map<String, Value>,
}

impl Model for Defaults {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.model)
    }

    fn continues(&self, request: &ChatRequest) -> bool {
        let mut request = request.clone();
        lay_beneath(&self.params, &mut request);
        self.model.continues(&request)
    }

    fn call(&self, mut request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        lay_beneath(&self.params, &mut request);
        self.model.call(request)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_core::ErrorKind;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn configured_parameters_stand_under_those_of_a_request() {
        #[derive(Debug)]
        struct Echo;
        impl Model for Echo {
            fn name(&self) -> &str {
                "echo"
            }
            fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
                let params = Value::Object((*request.params).clone()).to_string();
                Box::pin(async { Err(Error::new(ErrorKind::BadRequest, params)) })
            }
        }
        let params = Map::from_iter([("seed".into(), json!(1)), ("top_p".into(), json!(0.5))]);
        let model = with_defaults(Arc::new(Echo), &params);
        let request = ChatRequest::prompt("x").with_param("seed", json!(2));
        let echo = model.call(request).await.unwrap_err();
        let sent: Value = serde_json::from_str(echo.message()).unwrap();
        assert_eq!(sent, json!({"seed": 2, "top_p": 0.5}));
    }
}
