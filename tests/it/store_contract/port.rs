//! The sentences of the port, told of both SQL stores.

use super::home::Home;
use crate::port;

macro_rules! on_both_sql_stores {
    ($($sentence:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $sentence() {
                super::port::$sentence(&super::Home::sqlite(stringify!($sentence)).open().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $sentence() {
                super::port::$sentence(&super::Home::postgres(stringify!($sentence)).await.open().await).await;
            })+
        }
    };
}

port::each_sentence!(on_both_sql_stores);
