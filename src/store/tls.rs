//! TLS towards PostgreSQL, as a connection URL asks for it: libpq's `sslmode` and `sslrootcert`.
//!
//! <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION> says what each mode protects from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::database::OpenError;

/// What a URL says about TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsWish {
    mode: Mode,
    roots: Roots,
}

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Disable,
    /// Encrypted if the server can. libpq's `allow`, which tries without first, is taken for this too.
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// libpq's `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Roots {
    /// Not given, or `system`.
    System,
    File(PathBuf),
}

impl TlsWish {
    /// Takes `sslmode` and `sslrootcert` out of a URL, because the library that reads the rest knows neither the stricter modes
    /// nor the file.
    pub(super) fn take_from(url: &str) -> Result<(String, Self), OpenError> {
        let (mut mode, mut roots) = (Mode::Prefer, Roots::System);
        let Some((address, query)) = url.split_once('?') else {
            return Ok((url.to_owned(), Self { mode, roots }));
        };
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "sslmode" => mode = Mode::parse(value)?,
                "sslrootcert" => {
                    let decoded = percent_decode_str(value).decode_utf8_lossy().into_owned();
                    roots = if decoded == "system" { Roots::System } else { Roots::File(decoded.into()) };
                }
                _ => rest.push(pair),
            }
        }
        // As libpq has it: who names a root wants it checked.
        if mode == Mode::Require && matches!(roots, Roots::File(_)) {
            mode = Mode::VerifyCa;
        }
        let url = if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
        Ok((url, Self { mode, roots }))
    }

    pub(super) fn ssl_mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// What makes the connections; none where TLS is not wanted.
    pub(super) fn connector(&self) -> Result<Option<MakeRustlsConnect>, OpenError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match self.mode {
            Mode::Disable => return Ok(None),
            Mode::Prefer | Mode::Require => Arc::new(Unverified(provider.clone())),
            Mode::VerifyCa => Arc::new(ChainOnly(self.verifier(&provider)?)),
            Mode::VerifyFull => self.verifier(&provider)?,
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| OpenError::Tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Some(MakeRustlsConnect::new(config)))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, OpenError> {
        let roots = match &self.roots {
            Roots::System => system_roots(),
            Roots::File(path) => roots_of(path)?,
        };
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| OpenError::Tls(error.to_string()))
    }
}

impl Mode {
    fn parse(text: &str) -> Result<Self, OpenError> {
        match text {
            "disable" => Ok(Self::Disable),
            "allow" | "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(OpenError::SslMode(text.to_owned())),
        }
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        // A bare container has no certificates of its own.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn roots_of(path: &Path) -> Result<RootCertStore, OpenError> {
    let unusable = |reason: String| OpenError::RootCertificate { path: path.display().to_string(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// `prefer` and `require`: encrypted, but anybody may be at the other end.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// `verify-ca`: somebody whom the root vouches for, under whatever name.
#[derive(Debug)]
struct ChainOnly(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is compared last, so the chain was good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::{Mode, Roots, TlsWish};

    fn taken(query: &str) -> (String, TlsWish) {
        TlsWish::take_from(&format!("postgres://u:p@h/db{query}")).unwrap()
    }

    #[test]
    fn tls_is_preferred_unless_the_url_says_otherwise() {
        let (url, wish) = taken("");
        assert_eq!(url, "postgres://u:p@h/db");
        assert_eq!(wish, TlsWish { mode: Mode::Prefer, roots: Roots::System });
    }

    #[test]
    fn every_mode_of_libpq_is_known_and_no_other() {
        for (text, mode) in [
            ("disable", Mode::Disable),
            ("allow", Mode::Prefer),
            ("prefer", Mode::Prefer),
            ("require", Mode::Require),
            ("verify-ca", Mode::VerifyCa),
            ("verify-full", Mode::VerifyFull),
        ] {
            assert_eq!(taken(&format!("?sslmode={text}")).1.mode, mode);
        }
        for text in ["", "on", "VERIFY-FULL", "verify_full"] {
            assert!(TlsWish::take_from(&format!("postgres://h/db?sslmode={text}")).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_rest_of_the_url_is_left_alone() {
        let (url, wish) =
            taken("?application_name=x%20y&sslmode=verify-full&connect_timeout=3&sslrootcert=%2Fetc%2Fca%20x.pem");
        assert_eq!(url, "postgres://u:p@h/db?application_name=x%20y&connect_timeout=3");
        assert_eq!(wish.roots, Roots::File("/etc/ca x.pem".into()));
    }

    #[test]
    fn a_named_root_is_checked_even_under_require() {
        assert_eq!(taken("?sslmode=require&sslrootcert=/ca.pem").1.mode, Mode::VerifyCa);
        assert_eq!(taken("?sslmode=require&sslrootcert=system").1.mode, Mode::Require);
        assert_eq!(taken("?sslmode=prefer&sslrootcert=/ca.pem").1.mode, Mode::Prefer);
    }

    #[test]
    fn a_root_file_that_cannot_be_used_is_named() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        for path in ["/nonexistent/ca.pem", empty.path().to_str().unwrap()] {
            let wish = taken(&format!("?sslmode=verify-full&sslrootcert={path}")).1;
            let error = wish.connector().err().unwrap().to_string();
            assert!(error.contains(path), "{error}");
        }
    }
}
