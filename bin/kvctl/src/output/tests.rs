//! How results look.

use super::*;

#[test]
fn sizes_are_for_people() {
    let cases = [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (13_585_385, "13.6 MB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (u64::MAX, "18.4 EB"),
    ];
    for (bytes, text) in cases {
        assert_eq!(size(bytes), text);
    }
}

#[test]
fn ages_are_for_people() {
    let cases = [(3, "3 ms"), (2100, "2.1 s"), (300_000, "5 min"), (86_400_000, "24 h")];
    for (milliseconds, text) in cases {
        assert_eq!(age(milliseconds), text);
    }
}

#[test]
fn columns_are_aligned_and_colours_do_not_shift_them() {
    let mut table = Table::new([("NAME", Align::Left), ("STATE", Align::Left), ("DATA", Align::Right)]);
    table.row([Cell::from("n1"), Cell::coloured("up", Colour::Green), Cell::from(7)]);
    table.row([Cell::from("längst"), Cell::coloured("down", Colour::Red), Cell::from(12345)]);
    let plain = "NAME    STATE   DATA\nn1      up         7\nlängst  down   12345\n";
    assert_eq!(table.render(false), plain);
    let coloured = table.render(true);
    assert!(coloured.contains("\u{1b}[31mdown\u{1b}[0m"));
    let without = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[0m"].iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(without, plain);
}

#[test]
fn a_key_in_a_sentence_is_short_and_readable() {
    assert_eq!(quoted(b"user:1"), "`user:1`");
    assert_eq!(quoted(b"\xff\x00a"), "`\\xff\\x00a`");
    assert_eq!(quoted(&[b'k'; 61]), format!("`{}`...", "k".repeat(60)));
}

#[test]
fn a_stand_in_is_told_of_and_nothing_else() {
    let replicas = Replicas { wanted: 2, answered: 2, agreed: 2, sloppy: false };
    assert_eq!(stand_in_note(&replicas), None);
    let told = stand_in_note(&Replicas { sloppy: true, ..replicas });
    assert_eq!(told, Some("note: a stand-in answered for a replica that is away"));
}
