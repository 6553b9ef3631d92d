import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** The number of orders at a moment. */
@Entity('reports')
export class Report {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('varchar', { length: 32 })
  at!: string;

  @Column('integer')
  orders!: number;
}
