//! The acceptance cases of telephone numbers, and the laws over all numbering plans.

use super::*;

#[track_caller]
fn region(code: &str) -> Option<Region> {
    (!code.is_empty()).then(|| Region::parse(code).unwrap())
}

#[track_caller]
fn parses(text: &str, default: &str, expected: &str) {
    match Phone::parse(text, region(default)) {
        Ok(parsed) => assert_eq!(parsed.phone.as_str(), expected, "{text}"),
        Err(error) => panic!("{text} in {default:?}: {error}"),
    }
}

#[track_caller]
fn fails(text: &str, default: &str, code: &str) {
    match Phone::parse(text, region(default)) {
        Ok(parsed) => panic!("{text} in {default:?} gave {}", parsed.phone),
        Err(error) => assert_eq!(error.code().as_str(), code, "{text}"),
    }
}

#[track_caller]
fn provider(digits: &str) -> String {
    Phone::from_provider(digits).unwrap().to_string()
}

#[test]
fn case_02_brazilian_spellings_are_one_number() {
    for text in ["(11) 99999-9999", "011 99999-9999", "0 15 11 99999-9999", "１１９９９９９９９９９", "5511999999999"]
    {
        parses(text, "BR", "+5511999999999");
    }
}

#[test]
fn case_03_international_numbers_ignore_the_region() {
    parses("+1 650-253-0000", "BR", "+16502530000");
    parses("00 44 20 7031 3000", "DE", "+442070313000");
    fails("00 44 20 7031 3000", "BR", "phone_invalid");
    parses("0015 44 20 7031 3000", "BR", "+442070313000");
    parses("+44 (0)20 7031 3000", "", "+442070313000");
}

#[test]
fn case_04_what_is_no_number() {
    for (text, default) in [
        ("99999-9999", "BR"),
        ("12345", "BR"),
        ("+5511999999999999", "BR"),
        ("+5511999999999999", ""),
        ("+999123456", ""),
        ("190", "BR"),
        ("1-800-FLOWERS", "US"),
        ("11999999999@c.us", "BR"),
        ("++++++++", ""),
        ("", "BR"),
    ] {
        fails(text, default, "phone_invalid");
    }
    fails("11 99999-9999", "", "phone_region_required");
}

#[test]
fn case_05_an_extension_is_returned_apart() {
    let parsed = Phone::parse("+1 650 253 0000 ext. 123", region("US")).unwrap();
    assert_eq!(parsed.phone.as_str(), "+16502530000");
    assert_eq!(parsed.extension.as_deref(), Some("123"));
}

#[test]
fn case_06_old_spellings_are_repaired() {
    assert_eq!(provider("551188887777"), "+5511988887777");
    parses("(11) 8888-7777", "BR", "+5511988887777");
    parses("55 11 8888-7777", "BR", "+5511988887777");
    parses("+55 11 8888-7777", "", "+5511988887777");
    assert_eq!(provider("5215512345678"), "+525512345678");
    parses("+52 1 55 1234 5678", "", "+525512345678");
    assert_eq!(provider("551133334444"), "+551133334444");
    let (mobile, plain) = (Phone::from_e164("+5491123456789").unwrap(), Phone::from_e164("+541123456789").unwrap());
    assert_ne!(mobile, plain);
    assert_eq!(mobile.match_key(), "541123456789");
    assert_eq!(plain.match_key(), "541123456789");
}

#[test]
fn an_argentine_mobile_dialled_at_home_gets_its_nine() {
    parses("011 15 2345-6789", "AR", "+5491123456789");
    assert_eq!(provider("5491123456789"), "+5491123456789");
}

#[test]
fn a_provider_number_need_only_be_possible() {
    assert_eq!(provider("+442071838750"), "+442071838750");
    for digits in ["55119", "0551199999999", "999123456789", "5511999999999@c.us", "", "120363025246125486"] {
        assert!(Phone::from_provider(digits).is_err(), "{digits}");
    }
}

#[test]
fn a_number_tells_its_parts() {
    let phone = Phone::from_e164("+5511999999999").unwrap();
    assert_eq!((phone.country_code(), phone.national()), (Some(55), "11999999999"));
    assert_eq!(phone.region(), region("BR"));
    assert_eq!(phone.kind(), PhoneKind::Mobile);
    let kind = |text: &str| Phone::from_e164(text).unwrap().kind();
    assert_eq!(kind("+551133334444"), PhoneKind::FixedLine);
    assert_eq!(kind("+16502530000"), PhoneKind::FixedLineOrMobile);
    assert_eq!(kind("+18002530000"), PhoneKind::TollFree);
    assert_eq!(Phone::from_e164("+14165550123").unwrap().region(), region("CA"));
}

#[test]
fn stored_numbers_keep_their_shape_in_json() {
    let phone: Phone = serde_json::from_str("\"+5511999999999\"").unwrap();
    assert_eq!(serde_json::to_string(&phone).unwrap(), "\"+5511999999999\"");
    let error = crate::kernel::input::parse::<Vec<Phone>>(br#"["11 99999"]"#).unwrap_err();
    assert_eq!((error.code(), error.field()), (ErrorCode::PhoneInvalid, Some("[0]")));
}

#[test]
fn the_example_of_every_plan_is_read_at_home_and_abroad() {
    let mut read = 0;
    for (plan, example) in plan::tests::examples() {
        let international = format!("+{}{example}", plan.code);
        let Ok(home) = Region::parse(plan.region) else { continue };
        for (text, default) in [(&example, Some(home)), (&international, None)] {
            match Phone::parse(text, default) {
                Ok(parsed) => assert_eq!(parsed.phone.as_str(), international, "{text} in {}", plan.region),
                Err(error) => panic!("{text} in {}: {error}", plan.region),
            }
        }
        let phone = Phone::from_e164(&international).unwrap();
        assert_eq!(Phone::from_provider(phone.digits()).unwrap(), phone);
        assert_eq!(Phone::parse(phone.as_str(), None).unwrap().phone, phone);
        read += 1;
    }
    assert!(read > 800, "{read}");
}
