/** The first message of the program `importer`. */
export interface Started {
  readonly pid: number;
}
