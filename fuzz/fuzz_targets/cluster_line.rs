//! Reading a message of another node never panics and divides its bytes without a rest, and a frame
//! for clients is JSON if the payload is. So do several messages that were published as one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use sockhop_native::protocol::{ClusterLine, ClusterRun};

/// Several messages as one: they are read if the bytes are a message, and without a rest.
fn check_run(bytes: &[u8]) {
    let mut parcel = b"SHM1\n".to_vec();
    let length = u32::try_from(bytes.len()).expect("the fuzzer makes short inputs");
    parcel.extend_from_slice(&length.to_be_bytes());
    parcel.extend_from_slice(bytes);
    let read = ClusterRun::read(&parcel);
    let line = ClusterLine::read(bytes).ok();
    let line = line.filter(|line| line.signature.is_none());
    assert_eq!(read.map(|run| run.lines), line.map(|line| vec![line]));
    if let Some(run) = ClusterRun::read(bytes) {
        let sizes = run.lines.iter().map(|line| {
            4 + line.body + line.type_name.len() + line.extra.len() + line.payload.len()
        });
        assert_eq!(5 + sizes.sum::<usize>(), bytes.len());
    }
}

fuzz_target!(|bytes: &[u8]| {
    check_run(bytes);
    let Ok(line) = ClusterLine::read(bytes) else {
        return;
    };
    let parts = [line.type_name.as_bytes(), line.extra, line.payload].concat();
    assert_eq!(parts, &bytes[line.body..]);
    assert_eq!(line.node.len(), 16);
    assert!(line.seq < 10_u64.pow(15) && line.bseq < 10_u64.pow(15));

    // The line, written again, is read as the same message.
    let signature = line.signature.unwrap_or("-");
    let head = format!(
        "SH1 {} {} {} {} {:x} {} {} {signature}\n",
        char::from(line.kind),
        line.node,
        line.seq,
        line.bseq,
        line.flags,
        line.type_name.len(),
        line.extra.len(),
    );
    let again = [head.as_bytes(), &parts].concat();
    let again = ClusterLine::read(&again).expect("it was read before");
    assert_eq!(
        ClusterLine {
            body: line.body,
            ..again
        },
        line
    );

    let mut bare = Vec::new();
    line.write_frame(true, &mut bare);
    assert_eq!(bare, line.payload);
    let mut frame = Vec::new();
    line.write_frame(false, &mut frame);
    if line.payload.is_empty() {
        let frame: Value = serde_json::from_slice(&frame).expect("an envelope");
        assert_eq!(frame, json!({ "type": line.type_name }));
    } else {
        assert_eq!(frame.pop(), Some(b'}'));
        let head = frame
            .strip_suffix(line.payload)
            .expect("the payload as it is");
        let envelope = [head, b"null}"].concat();
        let envelope: Value = serde_json::from_slice(&envelope).expect("an envelope");
        assert_eq!(envelope, json!({ "type": line.type_name, "data": null }));
    }
});
