//! Which reports a poll reads again: asked of the core, which alone knows, and answered between two inputs.

use crate::core::engine::Core;
use crate::core::id::Name;
use crate::core::watch::{Reread, ToReread};
use tokio::sync::{mpsc, oneshot};

/// One question, with where its answer goes.
#[derive(Debug)]
pub struct Question {
    source: Name,
    why: Reread,
    answer: oneshot::Sender<ToReread>,
}

/// Where polls ask. Questions that wait are bounded by the number of sources.
#[derive(Clone, Debug)]
pub struct Lists(mpsc::Sender<Question>);

impl Lists {
    pub fn new() -> (Lists, mpsc::Receiver<Question>) {
        const WAITING: usize = 16;
        let (ask, questions) = mpsc::channel(WAITING);
        (Lists(ask), questions)
    }

    /// `None` when the engine has stopped.
    pub async fn ask(&self, source: &Name, why: Reread) -> Option<ToReread> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Question { source: source.clone(), why, answer }).await.ok()?;
        answered.await.ok()
    }
}

impl Question {
    pub fn answer(self, core: &Core) {
        // Whoever asked may have stopped meanwhile.
        let _ = self.answer.send(core.to_reread(&self.source, &self.why));
    }
}
