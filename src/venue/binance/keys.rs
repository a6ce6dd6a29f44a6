//! The secret half of an API key: an HMAC secret, an RSA key or an Ed25519 key, told apart by its text.
//!
//! Source: Binance request-security.md: HMAC-SHA256 in hex; RSA PKCS#1 v1.5 with SHA-256 (PKCS#8 PEM) and Ed25519 (PKCS#8 PEM) in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use sha2::Sha256;

/// Why a private key cannot be used. Never holds any of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the API secret is empty")]
    Empty,
    #[error("the private key is encrypted; write it without a password: openssl pkey -in KEY.pem -out PLAIN.pem, then chmod 600 PLAIN.pem")]
    Encrypted,
    #[error(
        "the private key's text is damaged: it must be one whole PEM block, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----"
    )]
    Damaged,
    #[error("this is a public key; the private one signs")]
    Public,
    #[error("this kind of private key is not one the venue takes; make an Ed25519 key: openssl genpkey -algorithm ed25519 -out KEY.pem")]
    Unsupported,
    #[error("the private key cannot sign: its parts do not fit together")]
    Signing,
}

/// Signs requests.
pub(super) enum Signer {
    Hmac(String),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl Signer {
    /// A text with a PEM header is a private key, any other an HMAC secret. `\n` written as two letters (environment files) is a line end.
    pub fn recognise(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if !text.contains("-----BEGIN") {
            return Ok(Self::Hmac(text.to_owned()));
        }
        let signer = Self::private_key(&text.replace("\\n", "\n"))?;
        // A key whose parts do not fit together is found here, so that signing cannot fail later.
        signer.try_sign(b"trial").map(|_| signer)
    }

    fn private_key(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem(text).ok_or(KeyError::Damaged)?;
        match label.as_str() {
            "PRIVATE KEY" => Self::from_pkcs8(&der),
            "RSA PRIVATE KEY" if text.contains("ENCRYPTED") => Err(KeyError::Encrypted),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).map(|key| Self::Rsa(Box::new(key))).map_err(|_| KeyError::Unsupported),
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(KeyError::Public),
            _ => Err(KeyError::Unsupported),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        // A key without its public half (as openssl writes Ed25519 keys) is whole.
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::Ed25519(Box::new(key)));
        }
        RsaKeyPair::from_pkcs8(der).map(|key| Self::Rsa(Box::new(key))).map_err(|_| KeyError::Unsupported)
    }

    /// The signature as it stands in a request before percent-encoding: lower-case hex (HMAC) or base64.
    pub fn sign(&self, payload: &[u8]) -> String {
        self.try_sign(payload).expect("a key that signed once signs again")
    }

    fn try_sign(&self, payload: &[u8]) -> Result<String, KeyError> {
        match self {
            Self::Hmac(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| KeyError::Signing)?;
                mac.update(payload);
                Ok(hex::encode(mac.finalize().into_bytes()))
            }
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), payload, &mut signature).map_err(|_| KeyError::Signing)?;
                Ok(STANDARD.encode(signature))
            }
            Self::Ed25519(key) => Ok(STANDARD.encode(key.sign(payload))),
        }
    }
}

/// The label and content of the first PEM block, without the header lines of old encrypted keys.
fn pem(text: &str) -> Option<(String, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let lines: String = body.split_whitespace().filter(|part| !part.contains([':', ','])).collect();
    STANDARD.decode(lines).ok().map(|der| (label.to_owned(), der))
}

#[cfg(test)]
pub(super) mod tests {
    use ring::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// Made for these tests with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`; it opens nothing.
    pub const RSA_PEM: &str = "-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCZ6jwkqajHWmfk
xqFF6FJ3XYxpzlSSXK7CQGhFA/Fh8OHeBtHxmr6S35PPEXjTWTsaXtLr2pLKr6ii
xlONpq/tAKcwQwZmbzlBUeomntA9/txJGGERJndvOd1xH0FnxYsVRyI9C7oilhcv
2ezDoEOVt+ZbvuLkQ4lYw+g2gnxcNcVAi+BpaFskhgGpb2GDj3ZJCcc3IQNryNJg
7+S6vuiNe5E9QCStsy4od9xG7piTueoKRns94gciVMEe5MPTB81lAeGvxjRnLNpA
XV8NOaGupYyaxQLjJ2lIYatH9aKlsHgko9gvyLNcCG7O6stUSd9zAcBXmAC1AeVN
5CFKjlU1AgMBAAECggEAECV+/refrEjYf6sIwyKD+DVjpBE6/7RiZErJGtMMO7fp
8gFUJ/I8Y4BklgNMDMaec9NBHEYB7T/FQ0zmpK8OY0tqE/Q2voCU3ec1LFevxTkw
gdM2vPZZ7tyqqucvqi5n5f5gN02SJCELuKo2HjBODBhOkw8GPWe1B7oG6SUCMn1g
ewSwrkz/UJLfWPd2/aQaRYqvmMJaW1HlHGzeL5WveiNkg9k3PPLymQeC/6m63jQ9
h8FZodr7IcNlI3pLirGQFcAggXa/fC6TVXB5+IF1vlQYJjyxs9JewkHngov1LO0d
1kIy4MGxs+e42gzksxQ2TS+zym19u6YDgulinrVkRwKBgQDV3fv4yhbfhSdjmwwH
DkOVwkj4dHaW62zdrBrATvhHjoJfhyQzz6iZRaOA21e2iltjlLh5Tla6/+m/m9tj
F6RwJbi6/2TIgrP559+46uqJOae+I6Pg3NoRzfn/TPorZOHThX6usFizFA3am1Nx
kHf2HZFuihKNDV0XhRJzRSltMwKBgQC4PKsvS3OBb1EEWRbkVLlru2MWSRsxfTpv
IxZrCJqiBTPqPcfF6pOZomoPrUU7C1Hv52tDzcYH1eRUMqwtQR8h3quitfGq1d4O
kqwNzFdQtxpS0AqG63JJ6EMaUsQelMsW9THqlxRPbxECieZsWkeC/vDNJYqopFVB
ud3d87gj9wKBgQDR6Xj4XzqGF0ZrAHKUtk5lvnUqz/zZ8qc/CD6VhK0yZtDV/Gnv
JKIiFnT988wq0bATlJRgFCESmD6Qn+R8ZWcz4AJqIGSGXatS3WD8Oi8Lk3huKsMd
4Qd1NEttZtuhHfp9R2jpAxN8aXGToKMNMzRbb/gfnAvLQFOf0zAhzb90ewKBgA0d
PG40Z7dp7hFqKgf8w+oYP5hhgc8HA/bPP5RE24T269gbp7G93d3MwtH02n22c5Gp
HmiIKDV8kzEvHjRmc0nc6Mi/PMGVUaYl6Jte1URIlFYauvUZo1wBbW1dQNqQathq
gbAaKvbwh/xvRnimAHshnJBtwK36bJsuGM3owE3HAoGBAKqkJtnCBVOtEtBFRMPT
yVzbHNWM2frQFXGx1dUphb1FbRxg/RzhA/OKVx/R1B0132uBfBiHxmmakjeHc0dd
+b3/uvtrVe3LxlHBAtPoHVUNPlbmiW9ig8008ZLIT/LH7yFOBANLSHG134AW6mes
5VjzL7wrrqV/2glH55SoGyMb
-----END PRIVATE KEY-----";
    const RSA_PUBLIC: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAmeo8JKmox1pn5MahRehSd12Mac5UklyuwkBoRQPxYfDh3gbR8Zq+kt+TzxF401k7Gl7S69qSyq+oosZTjaav7QCnMEMGZm85QVHqJp7QPf7cSRhhESZ3bzndcR9BZ8WLFUciPQu6IpYXL9nsw6BDlbfmW77i5EOJWMPoNoJ8XDXFQIvgaWhbJIYBqW9hg492SQnHNyEDa8jSYO/kur7ojXuRPUAkrbMuKHfcRu6Yk7nqCkZ7PeIHIlTBHuTD0wfNZQHhr8Y0ZyzaQF1fDTmhrqWMmsUC4ydpSGGrR/WipbB4JKPYL8izXAhuzurLVEnfcwHAV5gAtQHlTeQhSo5VNQIDAQAB";

    pub fn ed25519(pkcs8: &str) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{pkcs8}\n-----END PRIVATE KEY-----\n")
    }

    pub const FIX_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u";
    const FIX_PUBLIC: &str = "MCowBQYDK2VwAyEAGUIKv9dSpWXBViXp2m6vAIb8QMFJYBgyFEQsFJlqgA0=";

    fn signed(pem: &str, payload: &str) -> String {
        Signer::recognise(pem).unwrap().sign(payload.as_bytes())
    }

    #[test]
    fn ed25519_signatures_match_the_documented_vectors() {
        let logon = ["A", "EXAMPLE", "SPOT", "1", "20240627-11:17:25.223"].join("\u{1}");
        let wanted = "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA==";
        assert_eq!(signed(&ed25519(FIX_KEY), &logon), wanted);
        let public = STANDARD.decode(FIX_PUBLIC).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, &public[public.len() - 32..]);
        key.verify(logon.as_bytes(), &STANDARD.decode(wanted).unwrap()).unwrap();

        let second = ed25519("MC4CAQAwBQYDK2VwBCIEIPQmzwVKJETqVd7L9E/DFbkvrOigy1tLL+9QF0mSn6dV");
        let payload = "price=50000&quantity=1&side=BUY&symbol=BTCUSDT&timestamp=1631234567890&type=LIMIT";
        assert_eq!(signed(&second, payload), "a4Pm3p02D2HXtNfo3DBaVCe9Ov7kledewgYtGjekotFmZ5wXa3mC5AtLB7CpAphyNjeyovIuDP+9fyjYmsojCw==");

        let rest = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=0.2&timestamp=1668481559918&recvWindow=5000";
        assert_eq!(
            signed(&ed25519(FIX_KEY), rest),
            "inDT086KVIP8vgUfw5sV3VTkescWztiAGlf4x8FLKHM4NInsn0c1kYVLoGMO8cyjfR6vmTku2YQE0gtfVVlfCw=="
        );
        let unicode = rest.replace("BTCUSDT", "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96");
        assert_eq!(
            signed(&ed25519(FIX_KEY), &unicode),
            "vECjNXSlVOz1DskXXQ866KhikKY8cxajBXKAU0COlYYemqEr45TXiRS/jNB3LyHHh48pu7z2S6pTFhmhWNRBBw=="
        );
    }

    #[test]
    fn an_rsa_signature_is_verified_by_its_public_key() {
        let payload = "symbol=BTCUSDT&timestamp=1";
        let signature = STANDARD.decode(signed(RSA_PEM, payload)).unwrap();
        let spki = STANDARD.decode(RSA_PUBLIC).unwrap();
        // Behind 24 bytes of algorithm and wrapping stands the key itself.
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &spki[24..]);
        key.verify(payload.as_bytes(), &signature).unwrap();
        assert!(key.verify(b"symbol=BTCUSDT&timestamp=2", &signature).is_err());
        assert_eq!(signed(&RSA_PEM.replace('\n', "\\n"), payload), signed(RSA_PEM, payload), "an environment file's line ends");
    }

    #[test]
    fn the_kind_is_told_by_the_text_and_unusable_keys_say_why() {
        assert!(matches!(Signer::recognise(" a secret\n"), Ok(Signer::Hmac(secret)) if secret == "a secret"));
        assert!(matches!(Signer::recognise(RSA_PEM), Ok(Signer::Rsa(_))));
        assert!(matches!(Signer::recognise(&ed25519(FIX_KEY)), Ok(Signer::Ed25519(_))));
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----");
        for (text, why) in [
            (" ".to_owned(), KeyError::Empty),
            (block("ENCRYPTED PRIVATE KEY"), KeyError::Encrypted),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----".to_owned(),
                KeyError::Encrypted,
            ),
            (block("PUBLIC KEY"), KeyError::Public),
            (block("EC PRIVATE KEY"), KeyError::Unsupported),
            (block("PRIVATE KEY"), KeyError::Unsupported),
            (RSA_PEM[..400].to_owned(), KeyError::Damaged),
            (RSA_PEM.replace("-----END", "-----ENDE"), KeyError::Damaged),
        ] {
            assert_eq!(Signer::recognise(&text).err(), Some(why), "{text}");
        }
    }
}
