/** The body of a request to the program `bookings`. */
export interface Entry {
  readonly id: string;
  readonly fails?: 'crash' | 'not-found';
}

/** Its first message. */
export interface Ready {
  readonly port: number;
}
