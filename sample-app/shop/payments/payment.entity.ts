import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { MONEY } from '../setup/database/money.js';

@Entity('payments')
export class Payment {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  orderId!: string;

  @Column(MONEY)
  amount!: number;
}
