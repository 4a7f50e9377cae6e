//! What a store promises, once for SQLite and once for PostgreSQL: the same sentences, one of them the
//! embedded file and the other a server.

mod adoption;
mod board;
mod commits;
mod fallbacks;
pub mod home;
mod lost_answers;
mod measure;
mod moving;
mod opening;
mod outbox;
mod port;
mod reading;
mod records;
mod retention;
mod sums;
mod weekly;

/// Runs each sentence against a new store of both kinds.
macro_rules! on_both {
    ($($sentence:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $sentence() {
                super::$sentence(super::Home::sqlite(stringify!($sentence))).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $sentence() {
                super::$sentence(super::Home::postgres(stringify!($sentence)).await).await;
            })+
        }
    };
}
pub(crate) use on_both;
