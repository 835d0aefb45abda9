//! Parsing control frames never panics and agrees with a plain JSON parser, and written answers can
//! be parsed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sockhop_native::protocol::{Control, MAX_CONTROL_FRAME, Terminator, parse_control, write_pong};

fuzz_target!(|frame: &[u8]| {
    let found = parse_control(frame);

    // The plain parser refuses some frames that the reader accepts, because of values that the
    // reader skips. If it accepts a frame, both must agree.
    if frame.len() <= MAX_CONTROL_FRAME
        && let Ok(value) = serde_json::from_slice::<Value>(frame)
    {
        let expected = value
            .get("data")
            .filter(|data| data.is_object() && data.get("draining").is_none())
            .and_then(|data| {
                let kind = value.get("type")?.as_str()?;
                ["SockhopPing", "SockhopPong"]
                    .contains(&kind)
                    .then_some((kind, data))
            });
        match (&found, expected) {
            (None, None) => {}
            (Some(Control::Ping(body)), Some(("SockhopPing", data)))
            | (Some(Control::Pong(body)), Some(("SockhopPong", data))) => {
                let id = data.get("_id").unwrap_or(&Value::Null);
                assert!(body.id == *id || body.id.is_null());
            }
            _ => panic!("read {found:?}, expected {expected:?}"),
        }
    }

    if let Some(Control::Ping(ping)) = found {
        let newline = Terminator::new("\n").unwrap();
        let mut out = Vec::new();
        write_pong(&mut out, &ping, 0, &newline, false);
        assert_eq!(out.pop(), Some(b'\n'));
        assert!(!out.contains(&b'\n'), "a frame within the frame");
        // The answer may spell values longer than the peer did, and so exceed the size of a control
        // frame.
        if out.len() <= MAX_CONTROL_FRAME {
            let Some(Control::Pong(pong)) = parse_control(&out) else {
                panic!("unreadable: {}", out.escape_ascii());
            };
            assert_eq!(pong.id, ping.id);
            assert_eq!(pong.created, ping.created);
            assert!(!pong.returned.is_null());
        }
    }
});
