//! Receivers on loopback that a client must not trust: one with a certificate that nobody issued, one that
//! doesn't speak TLS. Both serve one connection.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

/// For "localhost", signed by itself, from 2020 to 2120.
const CERTIFICATE: &str = "\
    MIIBhDCCASqgAwIBAgIBATAKBggqhkjOPQQDAjAnMSUwIwYDVQQDDBxhIHJlY2VpdmVyIG9mIHRvY3NpbidzIHRlc3RzMCAXDTIwMDEwMTAwMD\
    AwMFoYDzIxMjAwMTAxMDAwMDAwWjAnMSUwIwYDVQQDDBxhIHJlY2VpdmVyIG9mIHRvY3NpbidzIHRlc3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0D\
    AQcDQgAE+sQyPR0qj/xy0ZTHSgFsd+B2sVshd8wB10UCnRr6VnjL9Tqn+4riiZebJ7zfxazr9S+4ovva5JkP5+Hddflg46NFMEMwFAYDVR0RBA\
    0wC4IJbG9jYWxob3N0MAwGA1UdEwEB/wQCMAAwHQYDVR0OBBYEFGGW6QD6urF8zRfrI5knZ1473jeiMAoGCCqGSM49BAMCA0gAMEUCICpLVEG5\
    UryQUDI3cMuM0nAYJCWUe97mKga2GHBJtFW0AiEA4O/9zvKVR4QT/s/jWkXrH258U6gFZjVTpXGqWtapRH4=";

/// The key of the certificate above, of use for nothing else.
const KEY: &str = "\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg05hvoqYhVwo8pKg7ZMwvhMvnOq1eGC10+jOEbAuhm5+hRANCAAT6xDI9HSqP/H\
    LRlMdKAWx34HaxWyF3zAHXRQKdGvpWeMv1Oqf7iuKJl5snvN/FrOv1L7ii+9rkmQ/n4d11+WDj";

/// The url of a receiver whose certificate no authority issued.
pub fn self_signed() -> String {
    let der = |text| STANDARD.decode(text).unwrap();
    let certificate = CertificateDer::from(der(CERTIFICATE));
    let key = PrivatePkcs8KeyDer::from(der(KEY)).into();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        // The client breaks the handshake off.
        let _ = server.complete_io(&mut stream);
    });
    format!("https://localhost:{port}/hook")
}

/// The url of a receiver that answers a handshake in plain text.
pub fn not_tls() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 2_048]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    });
    format!("https://localhost:{port}/hook")
}
