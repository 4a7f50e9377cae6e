//! Keys made with the deployment secret: what leaves this process never reveals a report's id, and the
//! same thing has the same key after every restart, reload and reordering of rules.

use crate::core::id::{CaseKey, IncidentNo, Name, Subject};
use crate::core::plan::PageKind;
use crate::core::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// Bytes that prove a sealed text.
const SEAL_BYTES: usize = 16;

/// The deployment secret. It prints as nothing.
#[derive(Clone)]
pub struct Keys {
    secret: Vec<u8>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// Of a secret of any length; at least 16 bytes are asked for where it is configured.
    pub fn new(secret: &[u8]) -> Self {
        Keys { secret: secret.to_vec() }
    }

    fn digest(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length, so this can't fail.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).unwrap_or_else(|_| unreachable!());
        mac.update(purpose.as_bytes());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Which deployment this is, without telling its secret: kept in the store to notice a clone.
    pub fn fingerprint(&self) -> String {
        hex(&self.digest("deployment", &[])[..16])
    }

    /// Where a source is read, without telling it: kept in the store to notice that it is fed from elsewhere.
    pub fn source(&self, address: &str) -> String {
        hex(&self.digest("source", &[address.as_bytes()])[..16])
    }

    /// The reported item, hashed: the columns' values in order.
    pub fn subject(&self, source: &str, values: &[String]) -> Subject {
        let mut parts: Vec<&[u8]> = vec![source.as_bytes()];
        parts.extend(values.iter().map(|value| value.as_bytes()));
        let digest = self.digest("subject", &parts);
        let mut subject = [0; 16];
        subject.copy_from_slice(&digest[..16]);
        Subject(subject)
    }

    /// tocsin's own reference for a case, the only name of it that leaves the house: "C-" and ten
    /// characters without look-alikes (50 bits).
    pub fn reference(&self, case: &CaseKey) -> String {
        self.reference_of(&case.to_string())
    }

    /// The same of a case's key as it is printed.
    pub fn reference_of(&self, case: &str) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let digest = self.digest("case", &[case.as_bytes()]);
        let bits = u64::from_be_bytes([0, digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6]]);
        let letter = |i: u32| char::from(ALPHABET[(bits >> (5 * i) & 31) as usize]);
        let letters: String = (0..10).map(letter).collect();
        format!("C-{}-{}", &letters[..5], &letters[5..])
    }

    /// What a receiver of letters de-duplicates by: the same on every retry of one letter to one channel.
    pub fn letter(&self, kind: &str, about: &str, channel: &str) -> String {
        hex(&self.digest("letter", &[kind.as_bytes(), about.as_bytes(), channel.as_bytes()]))
    }

    /// What a receiver de-duplicates alerts by: the same for every page of one round.
    pub fn alert(&self, incident: IncidentNo, round: u32) -> String {
        hex(&self.digest("alert", &[&incident.0.to_be_bytes(), &round.to_be_bytes()]))
    }

    /// A text with the proof that this deployment made it for this purpose: "text.proof".
    pub fn signed(&self, purpose: &str, text: &str) -> String {
        format!("{text}.{}", hex(&self.digest(purpose, &[text.as_bytes()])))
    }

    /// The text of a signed one, if this deployment made it for this purpose.
    pub fn unsigned<'t>(&self, purpose: &str, signed: &'t str) -> Option<&'t str> {
        let (text, _) = signed.rsplit_once('.')?;
        same(self.signed(purpose, text).as_bytes(), signed.as_bytes()).then_some(text)
    }

    /// Bytes that only this deployment can read again, for what must not stand in a url as it is. The same bytes are
    /// sealed the same, so it hides them and nothing else.
    pub fn seal(&self, purpose: &str, bytes: &[u8]) -> Vec<u8> {
        let proof = self.digest(purpose, &[bytes]);
        let mut sealed = proof[..SEAL_BYTES].to_vec();
        sealed.extend(self.masked(purpose, &proof[..SEAL_BYTES], bytes));
        sealed
    }

    /// What was sealed for this purpose by this deployment.
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (proof, masked) = sealed.split_at_checked(SEAL_BYTES)?;
        let bytes = self.masked(purpose, proof, masked);
        same(&self.digest(purpose, &[&bytes])[..SEAL_BYTES], proof).then_some(bytes)
    }

    fn masked(&self, purpose: &str, proof: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mask = |block: usize| self.digest("mask", &[purpose.as_bytes(), proof, &(block as u64).to_be_bytes()]);
        let blocks = bytes.chunks(32).enumerate();
        blocks.flat_map(|(at, block)| block.iter().zip(mask(at)).map(|(a, b)| a ^ b).collect::<Vec<_>>()).collect()
    }

    /// What a receiver de-duplicates deliveries by: the same on every retry of one page.
    pub fn delivery(&self, incident: IncidentNo, round: u32, step: u32, channel: &Name, kind: PageKind) -> String {
        let parts: [&[u8]; 5] = [
            &incident.0.to_be_bytes(),
            &round.to_be_bytes(),
            &step.to_be_bytes(),
            channel.as_bytes(),
            kind.as_str().as_bytes(),
        ];
        hex(&self.digest("delivery", &parts))
    }
}

/// A link by which a person takes an incident. It says nothing but what it is for, and proves that this
/// deployment made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckLink {
    pub incident: IncidentNo,
    pub round: u32,
    /// In whole seconds; the rest is cut off.
    pub expires: Timestamp,
}

/// Where such links lead on the board.
pub const ACK_PATH: &str = "/ack/";

impl AckLink {
    /// "/ack/42-0-1795420800-5f2a...": incident, round, expiry and the proof of them.
    pub fn path(&self, keys: &Keys) -> String {
        format!("{ACK_PATH}{}", self.text(keys))
    }

    fn text(&self, keys: &Keys) -> String {
        let (incident, round, expires) = (self.incident.0, self.round, self.expires.secs());
        let parts = [&incident.to_be_bytes()[..], &round.to_be_bytes(), &expires.to_be_bytes()];
        format!("{incident}-{round}-{expires}-{}", hex(&keys.digest("acknowledge", &parts)))
    }

    /// What follows `ACK_PATH`, if this deployment has made it. Whether it has expired is for the caller, who
    /// knows the time.
    pub fn parse(text: &str, keys: &Keys) -> Option<AckLink> {
        let mut parts = text.split('-');
        let (incident, round, expires) = (parts.next()?, parts.next()?, parts.next()?);
        let link = AckLink {
            incident: IncidentNo(incident.parse().ok()?),
            round: round.parse().ok()?,
            expires: Timestamp::from_secs(expires.parse().ok()?),
        };
        // Compared as a whole, so that no second text means the same.
        same(link.text(keys).as_bytes(), text.as_bytes()).then_some(link)
    }
}

/// Whether two texts are the same, in a time that doesn't tell where they differ.
pub fn same(ours: &[u8], theirs: &[u8]) -> bool {
    let differ = ours.iter().zip(theirs).fold(0, |differ, (a, b)| differ | (a ^ b));
    ours.len() == theirs.len() && differ == 0
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::{ReportId, ReportKey};

    #[test]
    fn l19_keys_differ_by_deployment_and_by_everything_they_name() {
        let (ours, theirs) = (Keys::new(b"one secret"), Keys::new(b"another"));
        assert_ne!(ours.alert(IncidentNo(1), 0), theirs.alert(IncidentNo(1), 0));
        assert_ne!(ours.alert(IncidentNo(1), 0), ours.alert(IncidentNo(1), 1));
        assert_eq!(ours.alert(IncidentNo(1), 0).len(), 64);
        let channel: Name = "pager".into();
        let ring = ours.delivery(IncidentNo(1), 0, 0, &channel, PageKind::Ring);
        assert_ne!(ring, ours.delivery(IncidentNo(1), 0, 0, &channel, PageKind::Resolve));
        assert_ne!(ring, ours.delivery(IncidentNo(1), 0, 0, &"mail".into(), PageKind::Ring));
    }

    #[test]
    fn a_link_is_what_this_deployment_made_and_nothing_else() {
        let (ours, theirs) = (Keys::new(b"one secret"), Keys::new(b"another"));
        let link = AckLink { incident: IncidentNo(42), round: 3, expires: Timestamp::from_secs(1_795_420_800) };
        let path = link.path(&ours);
        let text = path.strip_prefix(ACK_PATH).expect("its path");
        assert!(text.starts_with("42-3-1795420800-") && text.len() == 16 + 64, "{text}");
        assert_eq!(AckLink::parse(text, &ours), Some(link));
        let of_others = link.path(&theirs).replace(ACK_PATH, "");
        for forged in [
            of_others,
            text.replacen("42-3", "43-3", 1),
            text.replacen("42-3", "42-4", 1),
            text.replacen("1795420800", "1895420800", 1),
            text.replacen("42-3", "042-3", 1),
            format!("{text}-"),
            text[..text.len() - 1].to_owned(),
            String::new(),
        ] {
            assert_eq!(AckLink::parse(&forged, &ours), None, "{forged}");
        }
    }

    #[test]
    fn what_is_sealed_is_hidden_and_read_by_nobody_else() {
        let (ours, theirs) = (Keys::new(b"one secret"), Keys::new(b"another"));
        let text = b"the id of a report that must not stand in a url".repeat(3);
        let sealed = ours.seal("cursor", &text);
        assert_eq!(ours.unseal("cursor", &sealed).as_deref(), Some(&text[..]));
        assert!(!sealed.windows(6).any(|part| part == b"report"));
        assert_eq!((theirs.unseal("cursor", &sealed), ours.unseal("other", &sealed)), (None, None));
        let mut forged = sealed.clone();
        forged[20] ^= 1;
        assert_eq!((ours.unseal("cursor", &forged), ours.unseal("cursor", b"short")), (None, None));
    }

    #[test]
    fn a_signed_text_holds_for_its_purpose_alone() {
        let keys = Keys::new(b"one secret");
        let signed = keys.signed("session", "7.1795420800");
        assert_eq!(keys.unsigned("session", &signed), Some("7.1795420800"));
        assert_eq!(keys.unsigned("form", &signed), None);
        assert_eq!(keys.unsigned("session", &signed.replacen('7', "8", 1)), None);
    }

    #[test]
    fn joined_columns_never_meet_across_their_border() {
        let keys = Keys::new(b"one secret");
        let subject = |a: &str, b: &str| keys.subject("reports", &[a.to_owned(), b.to_owned()]);
        assert_ne!(subject("ab", "c"), subject("a", "bc"));
    }

    #[test]
    fn a_reference_does_not_show_the_report_id() {
        let key = ReportKey { source: "reports".into(), id: ReportId::Int(4711), incarnation: 0 };
        let reference = Keys::new(b"one secret").reference(&CaseKey::Report(key));
        assert_eq!(reference.len(), 13);
        assert!(!reference.contains("4711"));
    }
}
