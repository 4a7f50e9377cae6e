//! The style sheet and the script of the board, compiled in. Their addresses carry their hash, so that a browser keeps
//! them for ever and never mixes two versions.

use super::plain;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = include_str!("assets/board.css");
const SCRIPT: &str = include_str!("assets/board.js");

/// An asset under an address of its own.
struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

fn asset(stem: &str, ending: &str, kind: &'static str, text: &'static str) -> Asset {
    let hash = crate::keys::hex(&Sha256::digest(text.as_bytes())[..6]);
    Asset { name: format!("{stem}-{hash}.{ending}"), kind, text }
}

static ASSETS: LazyLock<[Asset; 2]> = LazyLock::new(|| {
    [
        asset("board", "css", "text/css; charset=utf-8", STYLE),
        asset("board", "js", "text/javascript; charset=utf-8", SCRIPT),
    ]
});

/// Where the style sheet is.
pub fn style() -> String {
    format!("/assets/{}", ASSETS[0].name)
}

/// Where the script is.
pub fn script() -> String {
    format!("/assets/{}", ASSETS[1].name)
}

/// GET /assets/{name}
pub async fn get(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let headers =
                [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, asset.text).into_response()
        }
        None => plain(StatusCode::NOT_FOUND, "no such file; load the page anew\n"),
    }
}
