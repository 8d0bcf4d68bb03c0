//! The shopping cart of the Dynamo paper: a cart that is changed at two places at once is never refused, and whoever reads it
//! next puts the halves together again. Run with `cargo run -p kvorum-vclock --example shopping_cart`.
//!
//! The store keeps siblings and knows nothing of carts; the application merges them. What was added is never lost; an item
//! that was removed can come back if it stood in the other half (section 4.4 of the paper says the same).

use std::collections::BTreeSet;

use kvorum_vclock::{Context, Dot, Error, Hlc, Siblings, Timestamp};

type Cart = BTreeSet<&'static str>;

/// One replica: its name is the actor of the writes it coordinates.
struct Replica {
    name: &'static str,
    clock: Hlc,
    cart: Siblings<&'static str, Cart>,
}

impl Replica {
    fn new(name: &'static str) -> Self {
        Self { name, clock: Hlc::new(Timestamp::MIN, Timestamp::MAX, 500), cart: Siblings::new() }
    }

    /// What a client gets: the merged cart, how many versions it was merged from, and the context of its next write.
    fn get(&self) -> (Cart, usize, Context<&'static str>) {
        let merged = self.cart.values().flat_map(|(_, cart)| cart.iter().copied()).collect();
        (merged, self.cart.len(), self.cart.context())
    }

    fn put(&mut self, wall_ms: u64, context: &Context<&'static str>, cart: Cart) -> Result<(), Error> {
        let time = self.clock.mint_above(context.newest(), wall_ms)?;
        self.cart.put(context, Dot { time, actor: self.name }, cart)
    }
}

fn show(what: &str, replica: &Replica) {
    let versions: Vec<String> = replica.cart.values().map(|(dot, cart)| format!("{dot} {cart:?}")).collect();
    println!("{what:<34}{}", versions.join("  beside  "));
}

fn main() -> Result<(), Error> {
    let (mut x, mut y) = (Replica::new("Sx"), Replica::new("Sy"));

    x.put(1_000, &Context::new(), Cart::from(["book"]))?;
    y.cart.merge(&x.cart);
    show("a book, at both replicas:", &y);

    // The network parts: the same customer goes on at two replicas that cannot see each other.
    let (mut cart, _, context) = x.get();
    cart.insert("lamp");
    x.put(2_000, &context, cart)?;
    show("Sx, the phone adds a lamp:", &x);

    let (mut cart, _, context) = y.get();
    cart.remove("book");
    cart.insert("chair");
    y.put(2_500, &context, cart)?;
    show("Sy, the laptop swaps for a chair:", &y);

    // The network heals. Both versions stand: neither has seen the other.
    x.cart.merge(&y.cart);
    y.cart.merge(&x.cart);
    show("after the exchange:", &x);

    // The next reader merges them, and its write, with the context of both, replaces both.
    let (cart, versions, context) = y.get();
    println!("{:<34}{versions} versions merged to {cart:?}", "a reader at Sy:");
    y.put(3_000, &context, cart)?;
    x.cart.merge(&y.cart);
    show("the merged cart, at both replicas:", &x);

    assert_eq!(x.cart, y.cart);
    assert_eq!(x.get().0, Cart::from(["book", "chair", "lamp"]), "nothing that was added is lost; the book came back");
    Ok(())
}
