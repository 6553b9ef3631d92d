import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** A text message that was sent. */
@Entity('sms')
export class Sms {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('uuid')
  orderId!: string;

  @Column('text')
  text!: string;
}
