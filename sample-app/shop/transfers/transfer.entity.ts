import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { MONEY } from '../setup/database/money.js';

@Entity('transfers')
export class Transfer {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  clientId!: string;

  @Column('text')
  serialNo!: string;

  @Column(MONEY)
  amount!: number;

  /** The body that came with it, in JSON, for the auditor. */
  @Column('text')
  sent!: string;
}
