//! Questions to the core, answered between two inputs by the thread that holds it: which reports a poll reads again,
//! and what people look at. Each costs what it gives, however much is open.

use crate::core::engine::Core;
use crate::core::id::Name;
use crate::core::watch::{Reread, ToReread};
use crate::web::engine::{Ask, Asked, Look};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// One question, with where its answer goes.
pub struct Question(Box<dyn FnOnce(&Core) + Send>);

/// Where polls and the web ask. Questions that wait are bounded by the number of sources and `LOOKS`.
#[derive(Clone, Debug)]
pub struct Lists {
    questions: mpsc::Sender<Question>,
    looks: Arc<Semaphore>,
}

/// Looks of people that wait at one time: a crowd at the board must not hold up a poll.
const LOOKS: usize = 4;

impl Lists {
    pub fn new() -> (Lists, mpsc::Receiver<Question>) {
        const WAITING: usize = 16;
        let (questions, asked) = mpsc::channel(WAITING);
        (Lists { questions, looks: Arc::new(Semaphore::new(LOOKS)) }, asked)
    }

    /// `None` when the engine has stopped.
    pub async fn ask(&self, source: &Name, why: Reread) -> Option<ToReread> {
        let source = source.clone();
        self.put(move |core| core.to_reread(&source, &why)).await
    }

    async fn put<T: Send + 'static>(&self, answer: impl FnOnce(&Core) -> T + Send + 'static) -> Option<T> {
        let (tell, told) = oneshot::channel();
        let question = Question(Box::new(move |core| {
            // Whoever asked may have stopped meanwhile.
            let _ = tell.send(answer(core));
        }));
        self.questions.send(question).await.ok()?;
        told.await.ok()
    }
}

impl Question {
    pub fn answer(self, core: &Core) {
        (self.0)(core);
    }
}

impl Ask for Lists {
    fn look(&self, look: Look) -> Asked<'_> {
        Box::pin(async move {
            let _place = self.looks.acquire().await.ok()?;
            self.put(move |core| look.at(core)).await
        })
    }
}
