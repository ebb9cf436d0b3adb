//! Whole envelopes of RFC 7520, and the content of RFC 7516's.

use lepton_crypto::envelope::{AesKey, EnvelopeError, Key, Purpose, Unlock, open};

use base64ct::{Base64UrlUnpadded, Encoding};

const PLAIN: &str = "You can trust us to stick with you through thick and thin\u{2013}to the bitter end. And you can trust us to keep any secret of yours\u{2013}closer than you keep it yourself. But you cannot trust us to let you face trouble alone, and go off without a word. We are your friends, Frodo.";

fn aes(key: &str) -> [Key; 1] {
    [Key::Aes(
        AesKey::new(&Base64UrlUnpadded::decode_vec(key).unwrap()).unwrap(),
    )]
}

fn check(text: &str, keys: &[Key], plain: &[u8]) {
    let opened = open(text, Unlock::Keys(keys), Purpose::Value).unwrap();
    assert_eq!(*opened.plaintext, plain);
    assert!(!opened.committed);
    let mut bad = text.to_owned();
    bad.replace_range(bad.len() - 4..bad.len() - 3, "B");
    assert_eq!(
        open(&bad, Unlock::Keys(keys), Purpose::Value).err(),
        Some(EnvelopeError::DoesNotOpen)
    );
}

/// RFC 7520 §5.6: direct encryption with AES-128-GCM.
#[test]
fn rfc_7520_5_6() {
    let text = "eyJhbGciOiJkaXIiLCJraWQiOiI3N2M3ZTJiOC02ZTEzLTQ1Y2YtODY3Mi02MTdiNWI0NTI0M2EiLCJlbmMiOiJBMTI4R0NNIn0..refa467QzzKx6QAB.JW_i_f52hww_ELQPGaYyeAB6HYGcR559l9TYnSovc23XJoBcW29rHP8yZOZG7YhLpT1bjFuvZPjQS-m0IFtVcXkZXdH_lr_FrdYt9HRUYkshtrMmIUAyGmUnd9zMDB2n0cRDIHAzFVeJUDxkUwVAE7_YGRPdcqMyiBoCO-FBdE-Nceb4h3-FtBP-c_BIwCPTjb9o0SbdcdREEMJMyZBH8ySWMVi1gPD9yxi-aQpGbSv_F9N4IZAxscj5g-NJsUPbjk29-s7LJAGb15wEBtXphVCgyy53CoIKLHHeJHXex45Uz9aKZSRSInZI-wjsY0yu3cT4_aQ3i1o-tiE-F8Ios61EKgyIQ4CWao8PFMj8TTnp.vbb32Xvllea2OtmHAdccRQ";
    check(text, &aes("XctOhJAkA-pD9Lh7ZgW_2A"), PLAIN.as_bytes());
}

/// RFC 7520 §5.8: AES-128 key wrap with AES-128-GCM.
#[test]
fn rfc_7520_5_8() {
    let text = "eyJhbGciOiJBMTI4S1ciLCJraWQiOiI4MWIyMDk2NS04MzMyLTQzZDktYTQ2OC04MjE2MGFkOTFhYzgiLCJlbmMiOiJBMTI4R0NNIn0.CBI6oDw8MydIx1IBntf_lQcw2MmJKIQx.Qx0pmsDa8KnJc9Jo.AwliP-KmWgsZ37BvzCefNen6VTbRK3QMA4TkvRkH0tP1bTdhtFJgJxeVmJkLD61A1hnWGetdg11c9ADsnWgL56NyxwSYjU1ZEHcGkd3EkU0vjHi9gTlb90qSYFfeF0LwkcTtjbYKCsiNJQkcIp1yeM03OmuiYSoYJVSpf7ej6zaYcMv3WwdxDFl8REwOhNImk2Xld2JXq6BR53TSFkyT7PwVLuq-1GwtGHlQeg7gDT6xW0JqHDPn_H-puQsmthc9Zg0ojmJfqqFvETUxLAF-KjcBTS5dNy6egwkYtOt8EIHK-oEsKYtZRaa8Z7MOZ7UGxGIMvEmxrGCPeJa14slv2-gaqK0kEThkaSqdYw0FkQZF.ER7MWJZ1FBI_NKvn7Zb1Lw";
    check(text, &aes("GZy6sIZ6wl9NJOKB-jnmVQ"), PLAIN.as_bytes());
}

/// RFC 7516 appendix A.1: its key is RSA-2048 with SHA-1, which is refused.
#[test]
fn rfc_7516_a1_is_refused() {
    let text = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJRgckCL9kiMT03JGeipsEdY3mx_etLbbWSrFr05kLzcSr4qKAq7YN7e9jwQRb23nfa6c9d-StnImGyFDbSv04uVuxIp5Zms1gNxKKK2Da14B8S4rzVRltdYwam_lDp5XnZAYpQdb76FdIKLaVmqgfwX7XWRxv2322i-vDxRfqNzo_tETKzpVLzfiwQyeyPGLBIO56YJ7eObdv0je81860ppamavo35UgoRdbYaBcoh9QcfylQr66oc6vFWXRcZ_ZT2LawVCWTIy3brGPi6UklfCpIMfIjf7iGdXKHzg.48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A.XFBoMYUZodetZdvTiFvSkQ";
    let keys = aes("XctOhJAkA-pD9Lh7ZgW_2A");
    assert!(matches!(
        open(text, Unlock::Keys(&keys), Purpose::Value),
        Err(EnvelopeError::OtherKeys(_))
    ));
}
