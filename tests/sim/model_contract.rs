//! The sentences of the port, told of the model that the simulations stand on: what they find of the model is
//! only worth something while it keeps what the SQL stores keep.

use crate::model_store::ModelStore;
use crate::port;

macro_rules! on_the_model {
    ($($sentence:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $sentence() {
            port::$sentence(&ModelStore::default()).await;
        })+
    };
}

port::each_sentence!(on_the_model);
