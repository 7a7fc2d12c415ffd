//! Rules of the message page about content, with literal values.

use super::*;
use crate::kernel::ErrorCode;
use crate::kernel::input::parse;

#[track_caller]
fn content(json: &str) -> Content {
    parse(json.as_bytes()).expect("readable content")
}

#[track_caller]
fn refused(json: &str, code: ErrorCode, field: &str) {
    let error = content(json).validate_outbound(&OutboundLimits::default()).expect_err("refused");
    assert_eq!((error.code(), error.field().unwrap_or_default()), (code, field), "{json}");
}

#[track_caller]
fn accepted(json: &str) {
    content(json).validate_outbound(&OutboundLimits::default()).expect(json);
}

#[test]
fn case_05_text_counts_characters_up_to_4096() {
    let text = |n: usize| Content::text("é".repeat(n));
    text(4096).validate_outbound(&OutboundLimits::default()).expect("4096 characters fit");
    let error = text(4097).validate_outbound(&OutboundLimits::default()).expect_err("one too many");
    assert_eq!(error.code(), ErrorCode::TextTooLong);
    assert_eq!(error.details()["max"], 4096);
}

#[test]
fn case_06_blank_text_is_refused() {
    refused(r#"{"type":"text","body":"   "}"#, ErrorCode::TextRequired, "body");
}

#[test]
fn case_07_long_inbound_text_is_cut_and_its_length_told() {
    let mut long = Content::text("ã".repeat(70_000));
    assert_eq!(long.fit_inbound(), Some(70_000));
    assert_eq!(long.words().map(|w| w.chars().count()), Some(65_536));
    let mut short = Content::text("Oi\0\0");
    assert_eq!((short.fit_inbound(), short.words()), (None, Some("Oi")));
}

#[test]
fn case_08_captions_belong_to_images_not_to_voice() {
    accepted(r#"{"type":"image","media":{"url":"https://x.example/a.jpg"},"caption":"comprovante"}"#);
    let voice = r#"{"type":"voice","media":{"url":"https://x.example/a.ogg"},"caption":"oi"}"#;
    refused(voice, ErrorCode::ContentNotAllowed, "caption");
}

#[test]
fn case_09_addresses_and_coordinates_are_checked() {
    let media = r#"{"type":"image","media":{"url":"ftp://x/y.jpg"}}"#;
    refused(media, ErrorCode::UrlSchemeUnsupported, "media.url");
    let place = r#"{"type":"location","location":{"latitude":91,"longitude":0}}"#;
    refused(place, ErrorCode::CoordinatesOutOfRange, "location");
    let nowhere = parse::<Content>(br#"{"type":"location","location":{"latitude":1}}"#).expect_err("no longitude");
    assert_eq!((nowhere.code(), nowhere.field()), (ErrorCode::LocationRequired, Some("location")));
    refused(r#"{"type":"document","media":{"mime":"pdf"}}"#, ErrorCode::MediaRequired, "media");
    let mime = r#"{"type":"document","media":{"storage_key":"k","mime":"pdf"}}"#;
    refused(mime, ErrorCode::MimeInvalid, "media.mime");
    let plain = content(r#"{"type":"image","media":{"url":"http://x.example/y.jpg"}}"#);
    let strict = OutboundLimits { https_only: true, ..OutboundLimits::default() };
    assert_eq!(plain.validate_outbound(&strict).expect_err("insecure").code(), ErrorCode::MediaUrlInsecure);
}

#[test]
fn cards_are_built_from_name_and_phone() {
    let json = r#"{"type":"contact","cards":[{"name":"Ana; Lima","phone":"+5511990000001","company":"Acme"}]}"#;
    accepted(json);
    let Content::Contact { cards } = content(json) else { panic!("a contact") };
    assert_eq!(cards[0].display_name, "Ana; Lima");
    assert!(cards[0].vcard.contains("FN:Ana\\; Lima\nORG:Acme\nTEL;type=CELL;waid=5511990000001:+5511990000001\n"));
    assert_eq!(cards[0].phones[0].wid.as_deref(), Some("5511990000001"));
    refused(r#"{"type":"contact","cards":[]}"#, ErrorCode::ContactCardRequired, "cards");
    let card = r#"{"type":"contact","cards":[{"display_name":"X","vcard":"BEGIN:VCARD\nEND:VCARD"}]}"#;
    refused(card, ErrorCode::VcardInvalid, "cards[0].vcard");
}

#[test]
fn templates_and_choices_have_limits() {
    accepted(r#"{"type":"template","template":{"name":"hello","variables":{"first_name":"Ana","n":2}}}"#);
    let nothing = r#"{"type":"template","template":{}}"#;
    refused(nothing, ErrorCode::TemplateRequired, "template.name");
    let null = r#"{"type":"template","template":{"name":"a","variables":{"x":null}}}"#;
    refused(null, ErrorCode::TemplateVariableInvalid, "template.variables.x");
    let title = r#"{"type":"interactive","interactive":{"kind":"buttons","options":[{"id":"1","title":"abcdefghijklmnopqrstuvwxy"}]}}"#;
    refused(title, ErrorCode::TextTooLong, "interactive.options[0].title");
    let none = r#"{"type":"interactive","interactive":{"kind":"list","options":[]}}"#;
    refused(none, ErrorCode::LimitOutOfRange, "interactive.options");
}

#[test]
fn only_the_system_and_adapters_make_notices_and_unsupported_content() {
    refused(r#"{"type":"system","notice":{"kind":"other"}}"#, ErrorCode::ContentNotAllowed, "");
    refused(r#"{"type":"unsupported","raw_type":"pollCreationMessage"}"#, ErrorCode::ContentNotAllowed, "");
}

#[test]
fn kinds_are_guessed_from_mime_types() {
    for (mime, kind) in [
        (None, ContentType::Text),
        (Some("image/webp"), ContentType::Sticker),
        (Some("IMAGE/JPEG"), ContentType::Image),
        (Some("video/mp4"), ContentType::Video),
        (Some("audio/ogg; codecs=opus"), ContentType::Audio),
        (Some("text/x-vcard"), ContentType::Contact),
        (Some("application/pdf"), ContentType::Document),
    ] {
        assert_eq!(ContentType::from_mime(mime), kind, "{mime:?}");
    }
}

#[test]
fn content_round_trips_and_names_its_kind() {
    for json in [
        r#"{"type":"text","body":"Oi"}"#,
        r#"{"type":"sticker","media":{"state":"pending"}}"#,
        r#"{"type":"unsupported","raw_type":"x"}"#,
    ] {
        let first = content(json);
        let again = serde_json::to_value(&first).expect("writes");
        assert_eq!(again["type"], first.content_type().as_str());
        assert_eq!(content(&again.to_string()), first);
    }
    let error = parse::<Content>(br#"{"type":"text","body":"Oi","bold":true}"#).expect_err("unknown field");
    assert_eq!(error.code(), ErrorCode::UnknownField);
}

#[test]
fn erased_parts_read_as_nothing() {
    let card: ContactCard = serde_json::from_str(r#"{"display_name":null,"vcard":null,"phones":null,"emails":null}"#)
        .expect("an erased card");
    assert_eq!((card.display_name.as_str(), card.phones.len()), ("", 0));
    let notice: SystemNotice = serde_json::from_str(r#"{"kind":"other","params":null}"#).expect("an erased notice");
    assert!(notice.params.is_empty());
}
