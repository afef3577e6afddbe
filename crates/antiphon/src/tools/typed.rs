//! A tool whose arguments and result are types. What is left of a tool then is the same for all, and stands here.

use std::{fmt, marker::PhantomData, sync::Arc};

use antiphon_core::{BoxFuture, Error};
use antiphon_mcp::{Call, Effects, Tool, ToolFacts};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Models, facts, spending::with_cost};

/// A tool by its types.
pub(super) trait TypedTool: 'static {
    /// What it takes. The comments of its fields are what clients are told of them.
    type Arguments: DeserializeOwned + JsonSchema + Send;
    /// What it gives, likewise.
    type Output: Serialize + JsonSchema + Send;

    /// Its name.
    const NAME: &'static str;
    /// Its name for people.
    const TITLE: &'static str;
    /// What it does, when to use it, how many calls it makes and what it gives.
    const DESCRIPTION: &'static str;
    /// It changes nothing: no file is written.
    const IS_READ_ONLY: bool = true;

    /// What clients may assume of what it does.
    fn effects() -> Effects {
        Effects::default()
    }

    /// Does it.
    ///
    /// # Errors
    /// The arguments cannot be used, or nothing came out.
    fn run(
        models: &Models,
        arguments: Self::Arguments,
        call: &Call,
    ) -> impl Future<Output = Result<Self::Output, Error>> + Send;
}

/// A typed tool over these models, as servers take it.
pub(super) fn tool<T: TypedTool>(models: &Arc<Models>) -> Arc<dyn Tool> {
    Arc::new(Typed::<T> {
        models: Arc::clone(models),
        tool: PhantomData,
    })
}

struct Typed<T> {
    models: Arc<Models>,
    tool: PhantomData<fn() -> T>,
}

impl<T: TypedTool> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("name", &T::NAME)
            .finish_non_exhaustive()
    }
}

impl<T: TypedTool> Tool for Typed<T> {
    fn facts(&self) -> ToolFacts {
        ToolFacts {
            name: T::NAME,
            title: T::TITLE,
            description: T::DESCRIPTION,
            input: facts::input_of::<T::Arguments>(),
            output: facts::output_of::<T::Output>(),
            is_read_only: T::IS_READ_ONLY,
        }
    }

    fn effects(&self) -> Effects {
        T::effects()
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        call: Call,
    ) -> BoxFuture<'_, Result<Value, Error>> {
        Box::pin(async move {
            let arguments = facts::arguments(arguments)?;
            let output = T::run(&self.models, arguments, &call)
                .await
                .map_err(with_cost)?;
            facts::result(&output)
        })
    }
}
