//! What is done while an answer of the store is waited for.

use crate::core::engine::Core;
use crate::core::plan::Input;
use crate::core::time::Timestamp;
use std::future::Future;

/// Whoever works beside the engine while the store is away.
pub trait Beside: Send {
    /// The store is asked for something from now on.
    fn asks(&mut self);
    /// Waits for an answer and meanwhile does what can be done without it. `core` is what the store has; `input`
    /// what waits to be taken up.
    fn during<T: Send>(
        &mut self,
        core: &Core,
        input: Option<&Input>,
        answer: impl Future<Output = T> + Send,
    ) -> impl Future<Output = T> + Send;
    /// When the input that waits was taken up without the store, if it was: it is decided for that instant.
    fn taken_up_at(&self) -> Option<Timestamp>;
}

/// Nobody.
pub struct Alone;

impl Beside for Alone {
    fn asks(&mut self) {}

    async fn during<T: Send>(&mut self, _: &Core, _: Option<&Input>, answer: impl Future<Output = T> + Send) -> T {
        answer.await
    }

    fn taken_up_at(&self) -> Option<Timestamp> {
        None
    }
}
